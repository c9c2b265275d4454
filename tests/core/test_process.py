"""What is known of the process itself."""

import subprocess
import sys

from whet.core.process import process_began

SCRIPT = """
import time

first = time.monotonic()
time.sleep(0.3)  # no processor time
from whet.core.process import process_began

print(first, process_began())
"""


def test_a_process_began_before_what_it_waited_for():
    """What passes before the import counts, whether or not a processor was busy."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    first, began = map(float, done.stdout.split())
    assert process_began() < began <= first
