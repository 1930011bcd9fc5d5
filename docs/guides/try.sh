# Helpers for trying the guides beside `make serve`. In the repository's folder:
#
#     . docs/guides/try.sh
#
# For development only: they sign in as anybody, and the keys of their wallets are no secret.
# Every helper is a few lines around curl; read them as examples.

API=${API:-http://127.0.0.1:${PORT:-8000}}
SAMPLE=$(mktemp)    # a file for sample papers

# sign_in SUBJECT ROLE: print a token that is good for one hour.
sign_in() { ./milkiyat token --subject "$1" --role "$2"; }

new_key() { .venv/bin/python -c 'import uuid; print(uuid.uuid4())'; }

# get TOKEN PATH: read.
get() { curl -s -H "Authorization: Bearer $1" "$API$2"; }

# post TOKEN PATH [JSON]: do something, once.
post() {
    curl -s -X POST -H "Authorization: Bearer $1" -H "Idempotency-Key: $(new_key)" \
        -H 'Content-Type: application/json' -d "${3:-null}" "$API$2"
}

# upload TOKEN ASSET_ID KIND FILE: file a paper.
upload() {
    curl -s -X POST -H "Authorization: Bearer $1" -H "Idempotency-Key: $(new_key)" \
        -F "kind=$3" -F "file=@$4" "$API/v1/assets/$2/documents"
}

# pass_kyc TOKEN INVESTOR_ID KIND...: open a review with sample papers, and judge it as two officers.
pass_kyc() {
    local token=$1 investor=$2 review seen kind
    shift 2
    review=$(post "$token" /v1/investors/$investor/kyc_reviews '{
      "occupation": "Trade", "source_of_funds": "BUSINESS", "tax_filer": true,
      "yearly_investment": {"amount": "2500000.00"}, "investment_purpose": "Income from rent"}' | field id)
    for kind in "$@"; do
        printf '%%PDF-1.7 %s of %s' "$kind" "$investor" > "$SAMPLE"
        curl -s -X POST -H "Authorization: Bearer $token" -H "Idempotency-Key: $(new_key)" \
            -F "kind=$kind" -F "file=@$SAMPLE" "$API/v1/kyc_reviews/$review/documents" > /dev/null
    done
    post "$token" /v1/kyc_reviews/$review/submit > /dev/null
    seen=$(post "$(sign_in COMPL-1 compliance)" /v1/kyc_reviews/$review/recommend '{
      "recommendation": "APPROVE", "risk": "LOW", "is_pep": false, "reason": "All is in order."
    }' | field review_sha256)
    post "$(sign_in COMPL-2 compliance)" /v1/investors/$investor/kyc \
        '{"decision": "APPROVED", "evidence_sha256": "'$seen'"}'
}

# field NAME: print one field of the answer on standard input; stop with the problem, if it is one.
field() {
    .venv/bin/python -c '
import json, sys
answer = json.load(sys.stdin)
if isinstance(answer, dict) and {"code", "status", "detail"} <= answer.keys():
    sys.exit(json.dumps(answer, indent=2, ensure_ascii=False))
print(answer[sys.argv[1]])' "$1"
}

# pick NAME VALUE: print the id of the newest row of a list whose field NAME is VALUE.
pick() {
    .venv/bin/python -c '
import json, sys
answer = json.load(sys.stdin)
rows = answer["items"] if isinstance(answer, dict) else answer
print([row["id"] for row in rows if row[sys.argv[1]] == sys.argv[2]][-1])' "$1" "$2"
}

# show: print the answer on standard input, readable.
show() { .venv/bin/python -m json.tool --no-ensure-ascii; }

# sha256: print the SHA-256 of standard input.
sha256() { .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }

# in_a_year: print the moment a year from now.
in_a_year() {
    .venv/bin/python -c '
import datetime
now = datetime.datetime.now(datetime.timezone.utc)
print((now + datetime.timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ"))'
}

# wallet NAME: print the address of a wallet whose key is made from its name.
wallet() {
    .venv/bin/python -c '
import sys
from eth_account import Account
from eth_utils import keccak
print(Account.from_key(keccak(text=sys.argv[1])).address)' "$1"
}

# sign NAME: sign the `challenge` on standard input with that wallet, as personal_sign does.
sign() {
    .venv/bin/python -c '
import json, sys
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak
message = encode_defunct(text=json.load(sys.stdin)["challenge"])
signed = Account.from_key(keccak(text=sys.argv[1])).sign_message(message)
print(json.dumps({"signature": "0x" + bytes(signed.signature).hex()}))' "$1"
}

# notify_payment: be the bank, and say that the money of the order on standard input has arrived.
notify_payment() {
    .venv/bin/python -c '
import datetime, json, os, pathlib, sys, urllib.request
from standardwebhooks.webhooks import Webhook
order = json.load(sys.stdin)
secrets = pathlib.Path(os.environ.get("DATA_DIR", ".data")) / "secrets.json"
bank = Webhook(json.loads(secrets.read_text())["payment_webhook_secret"])
now = datetime.datetime.now(datetime.timezone.utc)
message_id = "bank-" + order["reference"]
body = json.dumps({
    "bank_reference": message_id,
    "order_reference": order["reference"],
    "amount": order["amount"],
    "received_at": now.isoformat(),
})
headers = {
    "Content-Type": "application/json",
    "webhook-id": message_id,
    "webhook-timestamp": str(int(now.timestamp())),
    "webhook-signature": bank.sign(message_id, now, body),
}
url = sys.argv[1] + "/v1/payments/webhooks/bank_transfer"
request = urllib.request.Request(url, body.encode(), headers)
print(urllib.request.urlopen(request).read().decode())' "$API"
}
