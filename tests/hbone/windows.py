"""How a ztunnel gives windows back, which is earlier than the h2 library does."""

import h2.connection
from h2.windows import WindowManager


class EarlyWindow(WindowManager):
    """As the h2 crate has it (`unclaimed_capacity` in src/proto/streams/flow_control.rs): what was read is acknowledged
    when it is half of what is left; of a window that nobody else holds that is a third."""

    def _maybe_update_window(self) -> int | None:
        read = self._bytes_processed
        if not read or 2 * read < self.current_window_size:
            return None
        increment = min(read, self.max_window_size - self.current_window_size)
        self.current_window_size += increment
        self._bytes_processed = 0
        return increment


def made_early(late: WindowManager) -> EarlyWindow:
    made = EarlyWindow(late.max_window_size)
    made.current_window_size = late.current_window_size
    return made


def acknowledge_early(session: h2.connection.H2Connection, stream: int = 0) -> None:
    """From now on, on the session, or on a stream that has just been begun."""
    if stream:
        begun = session.streams[stream]
        begun._inbound_window_manager = made_early(begun._inbound_window_manager)
    else:
        session._inbound_flow_control_window_manager = made_early(session._inbound_flow_control_window_manager)
