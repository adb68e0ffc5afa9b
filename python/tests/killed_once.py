"""Runs a command whose process is killed once: `killed_once.py COUNT-FILE WHICH WHOM COMMAND…`.

The WHICH-th run (from 1) is killed a moment after its first answer: WHOM is `it`, or `parent` for whoever started it.
"""

import os
import signal
import subprocess
import sys

count_file, which, whom, *command = sys.argv[1:]
with open(count_file, "ab") as file:
    file.write(b"x")
with open(count_file, "rb") as file:
    number = len(file.read())
child = subprocess.Popen(command, stdin=0, stdout=subprocess.PIPE)
answered = 0
while piece := os.read(child.stdout.fileno(), 2**16):
    os.write(1, piece)
    answered += len(piece)
    if number == int(which) and answered > 20_000:
        os.kill(child.pid, signal.SIGKILL)
        if whom == "parent":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
sys.exit(child.wait())
