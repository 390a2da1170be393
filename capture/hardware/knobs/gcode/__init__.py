"""Motors that turn the knobs, behind a controller that speaks G-code over a serial port.

``lines`` and ``dialects`` know what is said, ``conversation`` whose turn it is; none of them waits
or touches a port. ``port`` is the serial port, ``controller`` waits for answers, ``driver`` turns
knobs.

One line is outstanding at most. An ``ok`` is no proof: what is believed is the position that the
controller reports when it stands still. No move is ever sent again. After any fault nothing is
believed any more: the port is opened anew and the axes find their origin again.
"""
