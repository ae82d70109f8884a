"""txtai's index behind FastAPI: indexed.py FOLDER PORT. FOLDER as for obvious.py."""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from txtai import Embeddings


class Asked(BaseModel):
    prompt: str


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    pairs = json.loads((folder / "exemplars.json").read_text())
    embeddings = Embeddings(path=str(folder / "model"), gpu=False)
    embeddings.index((number, text, None) for number, (_, text) in enumerate(pairs))
    app = FastAPI()

    @app.post("/match")
    def match(asked: Asked) -> dict[str, Any]:
        number, similarity = embeddings.search(asked.prompt, 1)[0]
        return {"campaign": pairs[number][0], "similarity": similarity}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
