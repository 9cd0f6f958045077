"""A small window above all others from which one file can be dragged: drag_source.py FILE X Y.

Says in words what only the side that drags knows: `ready`, then `welcome` whenever what lies below would take the file and
`unwelcome` whenever it would not, and at the end `taken` or `lost`."""
import pathlib
import sys

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GLib, Gtk  # noqa: E402


def say(word):
    print(word, flush=True)


class Source:
    """The handle of the drag, and what was said of it last."""

    def __init__(self, uri):
        self.uri = uri
        self.said = None
        self.context = None
        self.end = "taken"
        self.handle = Gtk.EventBox()
        self.handle.add(Gtk.Label(label="drag me"))
        self.handle.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [], Gdk.DragAction.COPY)
        self.handle.drag_source_add_uri_targets()
        self.handle.connect("drag-begin", self.begun)
        self.handle.connect("drag-data-get", lambda _w, _c, data, _i, _t: data.set_uris([uri]))
        self.handle.connect("drag-failed", self.failed)
        self.handle.connect("drag-end", self.ended)

    def begun(self, _widget, context):
        self.context = context
        GLib.timeout_add(10, self.look)

    def look(self):
        """Letting go earlier than the other side has answered would be a drag that nobody takes."""
        if self.context is None:
            return False
        is_welcome = self.context.get_selected_action() != 0 and self.context.get_dest_window() is not None
        word = "welcome" if is_welcome else "unwelcome"
        if word != self.said:
            self.said = word
            say(word)
        return True

    def failed(self, _widget, _context, _result):
        self.end = "lost"
        return False

    def ended(self, _widget, _context):
        self.context = None
        say(self.end)
        Gtk.main_quit()


source = Source(pathlib.Path(sys.argv[1]).resolve().as_uri())
window = Gtk.Window(type=Gtk.WindowType.POPUP)
window.set_default_size(70, 70)
window.move(int(sys.argv[2]), int(sys.argv[3]))
window.add(source.handle)
window.connect("map-event", lambda *_: say("ready"))
window.show_all()
Gtk.main()
