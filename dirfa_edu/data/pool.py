"""Training clips out of corpora that do not fit into memory: a few are decoded at a time.

Random access to 100,000 films would decode one film for every example. So a few decoded clips wait
in a pool; each is used some times at random, among the others, and then makes room for the next one
of a shuffled list.

Paper: 3.3.1. Notebook: 05_generator.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Callable

import torch

from ..files import InputError

HOPELESS = 100  # so many clips in a row that cannot be used are the corpus's fault


@dataclass
class Member:
    """A clip that is in the pool now."""

    index: int  # its place in the list of clips
    item: Any  # what reading it gave
    left: int  # how often it will still be drawn


class Pool:
    """At most `keep` clips as `read(clip)` decodes them, to draw from at random.

    A clip is drawn `uses` times and then replaced. So every clip comes equally often, one decoding
    serves `uses` draws, and neighbouring draws are of different clips. A list of `keep` clips or
    fewer is read once and stays; a clip that stands in it twice is decoded once. Clips for which
    `read` raises InputError are passed over, with one warning.

    All chance comes from `noise`. Its state and `state_dict` together are what a run needs to go on
    as if it had never been interrupted.
    Raises InputError for an empty list, and in `draw` where no clip can be used. Paper: 3.3.1.

    >>> pool = Pool(["a", "b", "c"], read=str.upper, noise=torch.Generator().manual_seed(0))
    >>> sorted({pool.draw() for _ in range(20)})
    ['A', 'B', 'C']
    """

    def __init__(
        self, clips: list, read: Callable, noise: torch.Generator, keep: int = 128, uses: int = 64
    ) -> None:
        if not clips:
            raise InputError("no clips to draw from: choose others with Corpus.select")
        if keep < 1 or uses < 1:
            raise InputError(
                f"a pool keeps 1 clip or more and uses it, not {keep} and {uses} times"
            )
        self.clips, self.read, self.noise = clips, read, noise
        self.keep, self.uses = keep, uses
        self.fits = len(clips) <= keep
        self.members: list[Member] = []
        self.waiting: list[int] = []  # places of the clips still to come in this round
        self.unusable: set[int] = set()  # places of clips that are not tried again
        self.failed = 0  # how many of them were found in a row

    def draw(self) -> Any:
        """One of the decoded clips, at random."""
        self.fill()
        place = int(torch.randint(len(self.members), (1,), generator=self.noise))
        member = self.members[place]
        member.left -= 1
        if member.left == 0 and not self.fits:
            del self.members[place]
        return member.item

    def fill(self) -> None:
        """Read clips until the pool is full: all of them once, or as many as it keeps.

        `draw` does so, too.
        """
        if self.fits:
            if not self.members:
                for index in range(len(self.clips)):
                    self._admit(index)
            return

        while len(self.members) < self.keep:
            if not self.waiting:  # every clip once a round, each round in another order
                self.waiting = torch.randperm(len(self.clips), generator=self.noise).tolist()
            self._admit(self.waiting.pop())

    def _admit(self, index: int) -> None:
        """Let a clip in; one that cannot be used is passed over."""
        if index in self.unusable:
            return
        try:
            item = self._item(index)
        except InputError as error:
            if not self.unusable:
                warnings.warn(
                    f"clips that cannot be used are passed over; the first: {error}", stacklevel=4
                )
            self.unusable.add(index)
            self.failed += 1
            if self.failed == HOPELESS or len(self.unusable) == len(self.clips):
                raise InputError(
                    f"{self.failed} clips in a row cannot be used; the last one: {error}"
                ) from error
            return
        self.failed = 0
        self.members.append(Member(index, item, self.uses))

    def _item(self, index: int) -> Any:
        """The decoded clip: read now, or that of a member that is the same clip."""
        clip = self.clips[index]
        if self.fits:
            for member in self.members:
                if self.clips[member.index] is clip:
                    return member.item
        return self.read(clip)

    def state_dict(self) -> dict[str, Any]:
        """Which clips are in the pool, how often each will still be drawn, and which come next."""
        return {
            "clips": len(self.clips),
            "members": [(member.index, member.left) for member in self.members],
            "waiting": list(self.waiting),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Decode the clips that were in the pool. Raises InputError for another list of clips."""
        if state["clips"] != len(self.clips):
            raise InputError(f"it drew from {state['clips']} clips, not {len(self.clips)}")
        self.members = []
        for index, left in state["members"]:
            self.members.append(Member(index, self._item(index), left))
        self.waiting = list(state["waiting"])
