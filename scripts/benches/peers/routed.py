"""semantic-router behind FastAPI: routed.py FOLDER PORT. FOLDER as for obvious.py."""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import prepared
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from semantic_router import Route
from semantic_router.encoders import HuggingFaceEncoder
from semantic_router.routers import IndexedRouter


class Asked(BaseModel):
    prompt: str


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    said = defaultdict(list)
    for campaign, text in prepared.pairs(folder):
        said[campaign].append(text)
    known = prepared.by_text(folder)

    class Encoder(HuggingFaceEncoder):
        def __call__(self, docs: list[str], *more: Any, **named: Any) -> Any:
            if all(text in known for text in docs):
                return [known[text].tolist() for text in docs]
            return super().__call__(docs, *more, **named)

    routes = [Route(name=campaign, utterances=texts) for campaign, texts in said.items()]
    router = IndexedRouter(Encoder(name=str(folder / "model")), routes)
    app = FastAPI()

    @app.post("/match")
    def match(asked: Asked) -> dict[str, Any]:
        choice = router(asked.prompt)
        return {"campaign": choice.name, "similarity": choice.confidence}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
