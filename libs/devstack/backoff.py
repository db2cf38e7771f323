"""How long to wait before a program that died is started again."""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from `first` to `most` seconds; a program that ran for `steady` seconds begins anew."""

    first: float = 0.2
    most: float = 10.0
    steady: float = 10.0
    _failures: int = 0

    def after(self, ran_for: float) -> float:
        """Seconds to wait after a run of `ran_for` seconds."""
        if ran_for >= self.steady:
            self._failures = 0
        delay = min(self.most, self.first * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)
        return delay
