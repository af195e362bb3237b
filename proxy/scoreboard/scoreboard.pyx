"""The scoreboard as all processes of a replica have it: its parts, and the flags of the replica as a whole. What it
promises is said in __init__.py."""

import os

from libc.stdint cimport int64_t

from proxy.scoreboard.atomics cimport wp_add, wp_load, wp_load64, wp_store, wp_store64, wp_swap
from proxy.scoreboard.layout cimport Header
from proxy.scoreboard.memory cimport copy_text

from proxy.scoreboard.views import Mode


cdef class Scoreboard:
    """Made by `create` in the arbiter, mapped by `attach` in its children."""

    def __init__(self, Memory memory not None):
        self.memory = memory
        self.workers = Workers(memory)
        self.clusters = Clusters(memory)
        self.endpoints = Endpoints(memory)
        self.outlier = Outlier(memory)
        self.probes = Probes(memory)
        self.rate_limits = RateLimits(memory)
        self.shares = Shares(memory)
        self.series = SeriesTable(memory)
        self.counts = Counts(memory)

    @staticmethod
    def create() -> Scoreboard:
        """A new, empty scoreboard; its descriptor may be inherited by children that are told so."""
        return Scoreboard(Memory(os.memfd_create("waypointd-scoreboard"), True))

    @staticmethod
    def attach(int fd) -> Scoreboard:
        """Maps the scoreboard behind an inherited descriptor. ValueError: there is none, or another version's."""
        return Scoreboard(Memory(fd, False))

    @property
    def fd(self) -> int:
        """Its descriptor."""
        return self.memory.fd

    def tell_time(self, int64_t now_ns) -> None:
        """For whoever simulates time: it is so late, for this object, until it is told anew; 0: as late as the kernel
        says. What serves requests reads the kernel's clock by itself."""
        self.memory.told_ns = now_ns

    @property
    def draining(self) -> bool:
        """The replica is going away: no new connections are wanted, those there are learn it."""
        return wp_load(&self.memory.header.draining) != 0

    @property
    def in_haste(self) -> bool:
        """And somebody waits for it to have gone."""
        return wp_load(&self.memory.header.draining) == 2

    def depart(self, bint in_haste) -> None:
        """It goes away from now on."""
        wp_store(&self.memory.header.draining, 2 if in_haste else 1)

    @property
    def reconciled(self) -> bool:
        """The fleet's ejections have been read once since the start."""
        return wp_load(&self.memory.header.reconciled) != 0

    @reconciled.setter
    def reconciled(self, bint value) -> None:
        wp_store(&self.memory.header.reconciled, value)

    @property
    def shared_state(self) -> bool:
        """True: Redis decides. False: it is away, and this replica decides by itself."""
        return wp_load(&self.memory.header.shared_state) != 0

    @shared_state.setter
    def shared_state(self, bint value) -> None:
        if value:
            if wp_swap(&self.memory.header.shared_state, 0, 1):
                self.note_mode("")
        else:
            self.leave_shared_state()

    def leave_shared_state(self, str reason="") -> bool:
        """Switches to local mode; True for the one caller of all workers that did it."""
        cdef bint left = wp_swap(&self.memory.header.shared_state, 1, 0)
        if left:
            wp_add(&self.memory.header.losses, 1)
            self.note_mode(reason)
        return left

    @property
    def losses(self) -> int:
        """How often Redis has ceased to decide."""
        return wp_load(&self.memory.header.losses)

    def note_mode(self, str reason) -> None:
        """Why this replica decides by itself, since now."""
        cdef Header* header = self.memory.header
        copy_text(header.mode_reason, sizeof(header.mode_reason), reason)
        wp_store64(&header.mode_since, self.memory.now() // 1_000_000)

    def mode(self) -> Mode:
        """Who decides, since when and why."""
        cdef Header* header = self.memory.header
        return Mode(self.shared_state, wp_load64(&header.mode_since), header.mode_reason.decode(errors="replace"))

    @property
    def suspects_itself(self) -> bool:
        """This replica reaches so few endpoints that the fault is probably its own."""
        return wp_load(&self.memory.header.suspects_itself) != 0

    def suspect_itself(self, bint value) -> bool:
        """Begins or ends to; True for the one caller that changed it."""
        return wp_swap(&self.memory.header.suspects_itself, not value, value)
