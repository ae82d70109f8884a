"""View.WHOLE: all that users say, in windows of the encoder."""

import numpy as np

from indexer.corpus import Corpus, numbered
from indexer.encode import Encoder
from indexer.texts import sizes_of
from indexer.views import NEW, known_texts, parts_of, write_points
from indexer.workspace import Folder


def write_whole_view(folder: Folder, corpus: Corpus, encoder: Encoder, base: Folder | None = None) -> None:
    """Puts View.WHOLE into a folder. base: where the view of the corpus before is; only texts that it lacks are
    cut, and what they show stands behind what the others do.
    """
    texts, known = corpus.user.texts, known_texts(base)
    origin = np.arange(len(known))
    cut_before = 0 if base is None else len(base.array("counts", np.int64))
    with (
        folder.texts_writer("texts", base) as shown,
        folder.writer("counts", base) as counts,
        folder.writer("numbers", base) as numbers,
    ):
        fresh_texts = texts[cut_before:]
        for first, last in parts_of(sizes_of(fresh_texts)):
            windows = encoder.cut(list(fresh_texts[first:last]))
            number, fresh = numbered([window for mine in windows for window in mine], known)
            shown.append(fresh)
            counts.append(np.fromiter(map(len, windows), np.int64, len(windows)))
            numbers.append(number)
    folder.write("keys", known.keys)
    folder.write("origin", np.concatenate([origin, np.full(len(known) - len(origin), NEW)]))
    count, number = (folder.array(name, np.int64) for name in ("counts", "numbers"))
    write_points(folder, corpus, corpus.user.text_of_prompt, count, number, len(known))
