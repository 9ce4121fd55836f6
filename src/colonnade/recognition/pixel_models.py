"""What each context looks like: independent pixels, each with counts of its levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint8]


class PixelModels:
    """Dirichlet-multinomial models of P pixels of K levels, one for each context, side by side.

    The probability of a pixel's level k, after N observations of which n_k showed it, is
    (n_k + alpha) / (N + K alpha), and that of a picture the product over its pixels. The last
    model is the hold-out, without observations of its own. During a window all models learn, so
    that what they have learned in it is the same for all and is kept once.

    Attributes:
        seen: [C + 1] observations of each model, the window's left out.

    Args:
        pixels: P.
        kinds: K.
        concentration: alpha.
    """

    def __init__(self, pixels: int, kinds: int, concentration: float) -> None:
        self._pixels, self._kinds, self._alpha = pixels, kinds, concentration
        # Models lie side by side, so that those of a pixel and level are read as one row.
        self._counts = np.zeros((kinds * pixels, 4), np.float32)
        self._window = np.full(kinds * pixels, concentration, np.float32)
        self._places = np.arange(pixels)
        self._ones = np.ones(pixels, np.float32)
        self.seen = np.zeros(1, np.int64)
        self.window: list[Levels] = []

    def __len__(self) -> int:
        """Models, the hold-out among them: C + 1."""
        return len(self.seen)

    def log_likelihoods(self, levels: Levels) -> NDArray[np.float64]:
        """Return the log-probability [C + 1] of a picture's levels [P] under each model."""
        rows = self._rows(levels)
        counts = self._counts.take(rows, 0)
        counts += self._window.take(rows)[:, None]
        sums = self._log_sums(counts)[: len(self)]
        totals = self.seen + len(self.window) + self._kinds * self._alpha
        return np.asarray(sums - self._pixels * np.log(totals))

    def learn(self, levels: Levels) -> None:
        """Add a picture to the window, for all models."""
        self._window[self._rows(levels)] += 1
        self.window.append(levels)

    def close(self, winner: int, first: int = 0) -> None:
        """Let one model keep the window's pictures from `first` on, and all others forget them.

        If it is the hold-out, it becomes a context, and a new hold-out stands by.
        """
        for levels in self.window[:first]:
            self._window[self._rows(levels)] -= 1
        self._counts[:, winner] += np.rint(self._window - self._alpha)
        self._window.fill(self._alpha)
        self.seen[winner] += len(self.window) - first
        self.window.clear()
        if winner == len(self) - 1:
            self.seen = np.append(self.seen, 0)
            if len(self) > self._counts.shape[1]:
                wider = np.zeros((len(self._counts), len(self) + 3), np.float32)
                wider[:, : self._counts.shape[1]] = self._counts
                self._counts = wider

    def score(self, levels: Levels) -> NDArray[np.float64]:
        """Return the log-probability [C] under each context of its own pictures alone."""
        counts = self._counts.take(self._rows(levels), 0) + np.float32(self._alpha)
        sums = self._log_sums(counts)[: len(self) - 1]
        totals = self.seen[:-1] + self._kinds * self._alpha
        return np.asarray(sums - self._pixels * np.log(totals))

    def _log_sums(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Add up the logarithms [width] of numbers [P, width], of products of four at once.

        A logarithm costs more than three products. Counts are below 2**24, and the concentration
        is at least 1e-8, so that float32 holds the products.
        """
        part = len(counts) // 4
        products = counts[:part] * counts[part : 2 * part]
        products *= counts[2 * part : 3 * part]
        products *= counts[3 * part : 4 * part]
        np.log(products, out=products)
        sums = (self._ones[:part] @ products).astype(np.float64)
        if 4 * part < len(counts):
            sums += np.log(counts[4 * part :]).sum(0)
        return np.asarray(sums, np.float64)

    def _rows(self, levels: Levels) -> NDArray[np.int64]:
        rows: NDArray[np.int64] = levels * np.int64(self._pixels) + self._places
        return rows

    def state(self) -> dict[str, NDArray[np.int64] | NDArray[np.int32] | NDArray[np.uint8]]:
        """Return counts [C, K P], observations [C] and the window [w, P]."""
        known = len(self) - 1
        window = np.array(self.window, np.uint8).reshape(-1, self._pixels)
        counts = np.ascontiguousarray(self._counts[:, :known].T).astype(np.int32)
        return {"counts": counts, "seen": self.seen[:known].copy(), "window": window}

    def load_state(
        self, counts: NDArray[np.int32], seen: NDArray[np.int64], window: NDArray[np.uint8]
    ) -> None:
        """Return to what `state` gave."""
        width = 4 * (len(seen) // 4 + 1)
        self._counts = np.zeros((self._kinds * self._pixels, width), np.float32)
        self._counts[:, : len(seen)] = counts.T
        self.seen = np.append(seen, 0)
        self._window[:] = self._alpha
        self.window = []
        for levels in window:
            self.learn(levels.copy())
