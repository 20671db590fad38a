/**
 * Write src/schema.ts from openapi.json, the server's own document (`python tools/make_openapi.py` writes it).
 *
 *     node scripts/generate.mjs [--check]
 *
 * Only what this client asks for is kept: the paths under /v1, and answers that are well; how errors look is one shape
 * for all. --check writes nothing and fails when the file is not what it would be.
 */

import { readFile, writeFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";

const target = new URL("../src/schema.ts", import.meta.url);
const document = JSON.parse(await readFile(new URL("../openapi.json", import.meta.url), "utf8"));

document.paths = Object.fromEntries(Object.entries(document.paths).filter(([path]) => path.startsWith("/v1/")));
for (const path of Object.values(document.paths)) {
  for (const operation of Object.values(path)) {
    operation.responses = Object.fromEntries(Object.entries(operation.responses).filter(([status]) => status < "300"));
  }
}
document.components.schemas = reachable(document);

const made = `// Made from openapi.json by scripts/generate.mjs; change neither by hand.\n\n${astToString(
  await openapi(document, { defaultNonNullable: false }),
)}`;
if (!process.argv.includes("--check")) {
  await writeFile(target, made);
} else if ((await readFile(target, "utf8")) !== made) {
  console.error("src/schema.ts is not what openapi.json gives. Run: npm run generate");
  process.exit(1);
}

/** The schemas that the paths that are left lead to. */
function reachable({ paths, components }) {
  const found = new Set();
  const visit = (value) => {
    if (typeof value !== "object" || value === null) return;
    const name = typeof value.$ref === "string" ? value.$ref.replace("#/components/schemas/", "") : undefined;
    if (name !== undefined && !found.has(name)) {
      found.add(name);
      visit(components.schemas[name]);
    }
    Object.values(value).forEach(visit);
  };
  visit(paths);
  return Object.fromEntries(Object.entries(components.schemas).filter(([name]) => found.has(name)));
}
