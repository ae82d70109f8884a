"""semantic-router behind FastAPI: routed.py FOLDER PORT. FOLDER as for obvious.py."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

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
    for campaign, text in json.loads((folder / "exemplars.json").read_text()):
        said[campaign].append(text)
    routes = [Route(name=campaign, utterances=texts) for campaign, texts in said.items()]
    router = IndexedRouter(HuggingFaceEncoder(name=str(folder / "model")), routes)
    app = FastAPI()

    @app.post("/match")
    def match(asked: Asked) -> dict[str, Any]:
        choice = router(asked.prompt)
        return {"campaign": choice.name, "similarity": choice.confidence}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
