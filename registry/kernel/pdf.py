"""PDF from a template and plain values, in Latin and Urdu script, with nothing of the machine's.

Fonts come with the program: Typst's own for Latin, Noto Naskh Arabic for Urdu (OFL, beside it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import typst

FONTS = Path(__file__).with_name("fonts")
Standard = Literal["1.7", "a-3b"]


def make_pdf(
    template: Path,
    values: Mapping[str, Any],
    *,
    made_at: datetime,
    standard: Standard = "1.7",
) -> bytes:
    """Lay `values` out as the Typst template says; the same ones give the same bytes.

    Parameters
    ----------
    values
        What JSON can say; the template reads it as ``json(bytes(sys.inputs.values))``. A text is
        never read as markup.
    standard
        ``a-3b`` is for archives, and may carry files (ISO 19005-3).
    """
    made = typst.compile(
        template,
        root=template.parent,
        font_paths=[FONTS],
        ignore_system_fonts=True,
        sys_inputs={"values": json.dumps(values, ensure_ascii=False)},
        timestamp=int(made_at.timestamp()),
        pdf_standards=[standard],
    )
    assert isinstance(made, bytes), "a PDF is one file"
    return made
