"""txtai's index behind FastAPI: indexed.py FOLDER PORT. FOLDER as for obvious.py."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import prepared
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from txtai import Embeddings
from txtai.vectors import HFVectors


class Asked(BaseModel):
    prompt: str


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    pairs, known, encode = prepared.pairs(folder), prepared.by_text(folder), HFVectors.encode

    def encode_unknown(self: HFVectors, data: list[str], *more: Any, **named: Any) -> Any:
        if all(isinstance(text, str) and text in known for text in data):
            return np.stack([known[text] for text in data])
        return encode(self, data, *more, **named)

    HFVectors.encode = encode_unknown
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
