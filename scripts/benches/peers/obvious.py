"""The app that anybody would write first: obvious.py FOLDER PORT, FastAPI over sentence-transformers and FAISS.

FOLDER holds exemplars.json ([[campaign, text], ...]), vectors.npy and model (a SentenceTransformer folder).
"""

import sys
from pathlib import Path
from typing import Any

import faiss
import prepared
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Asked(BaseModel):
    prompt: str


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(2)
    model = SentenceTransformer(str(folder / "model"), device="cpu", local_files_only=True)
    pairs = prepared.pairs(folder)
    index = faiss.IndexFlatIP(model.get_sentence_embedding_dimension())
    index.add(prepared.vectors(folder))
    app = FastAPI()

    @app.post("/match")
    def match(asked: Asked) -> dict[str, Any]:
        vector = model.encode([asked.prompt], normalize_embeddings=True)
        cosines, rows = index.search(vector, 1)
        return {"campaign": pairs[int(rows[0, 0])][0], "similarity": float(cosines[0, 0])}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
