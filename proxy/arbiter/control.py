"""The arbiter's end of the conversation with the controller: never waits, and outlives any one controller."""

import logging
import selectors
from collections.abc import Iterator, Sequence

from proxy.arbiter.children import Child
from proxy.ipc.channel import Channel, Message

log = logging.getLogger("arbiter")


class Control:
    """Messages to and from whichever controller runs now; what is told to none is lost (a new one is told all)."""

    def __init__(self, controller: Child, selector: selectors.BaseSelector) -> None:
        self._controller = controller
        self._selector = selector
        self._channel: Channel | None = None

    def open(self, channel: Channel) -> None:
        """Talk to a new controller from now on."""
        self.close()
        channel.set_blocking(False)  # a controller that hangs must not hang us
        self._selector.register(channel, selectors.EVENT_READ)
        self._channel = channel

    def close(self) -> None:
        """The controller is gone."""
        if self._channel:
            self._selector.unregister(self._channel)
            self._channel.close()
            self._channel = None

    def tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send to the controller; one that has stopped reading is killed, and so replaced."""
        if self._channel is None:
            return
        try:
            self._channel.send(message, fds)
        except BlockingIOError:
            log.error("the controller does not read its messages: killing it")
            self._controller.kill()
            self.close()
        except (BrokenPipeError, ConnectionResetError):
            self.close()

    def hear(self) -> Iterator[tuple[Message, list[int]]]:
        """The messages that have arrived; the receiver owns their descriptors."""
        while self._channel:
            try:
                received = self._channel.receive()
            except BlockingIOError:
                return
            if received is None:
                self.close()
                return
            yield received
