"""Write clients/typescript/openapi.json, the server's OpenAPI document, from the application itself.

    python tools/make_openapi.py [--check]

The TypeScript client's types are made from it: `npm run generate` in clients/typescript. --check writes nothing and fails
when the file is not what it would be; a test calls it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mnemic.serve.app import create_app
from mnemic.serve.settings import Settings

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "clients/typescript/openapi.json"


def main() -> None:
    made = document()
    if "--check" not in sys.argv:
        TARGET.write_text(made, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != made:
        sys.exit(
            "clients/typescript/openapi.json is not what the server says. Run: python tools/make_openapi.py, then "
            "npm run generate in clients/typescript"
        )


def document() -> str:
    """The document as text, the same however often it is made. Opens and writes nothing."""
    values = create_app(Settings(data=Path("unused"))).openapi()
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
