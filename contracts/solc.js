// SPDX-License-Identifier: Apache-2.0
// The npm compiler behind the two calls of native solc that py-solc-x makes: `--version` and
// `--standard-json` with the input on stdin. npm's own command reads stdin synchronously, which
// fails with EAGAIN when stdin is a pipe.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const solc = require("solc");

const { values } = parseArgs({
  options: {
    version: { type: "boolean" },
    "standard-json": { type: "boolean" },
    "base-path": { type: "string", default: "." },
    "allow-paths": { type: "string" }, // taken and ignored: only files under the base are read
  },
});

function readImport(name) {
  // Compared as written, not as resolved: node_modules may be a link to a folder elsewhere.
  const file = path.normalize(name);
  if (path.isAbsolute(file) || file.split(path.sep)[0] === "..") {
    return { error: `${name} is outside the base folder` };
  }
  try {
    return { contents: fs.readFileSync(path.join(values["base-path"], file), "utf8") };
  } catch (error) {
    return { error: `${name}: ${error.message}` };
  }
}

async function compile() {
  const chunks = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  const input = Buffer.concat(chunks).toString("utf8");
  process.stdout.write(solc.compile(input, { import: readImport }));
}

if (values.version) {
  process.stdout.write(`solc, the solidity compiler\nVersion: ${solc.version()}\n`);
} else if (values["standard-json"]) {
  compile();
} else {
  process.stderr.write("solc: only --version and --standard-json are answered\n");
  process.exitCode = 2;
}
