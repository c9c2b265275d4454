"""What is known of the process itself."""

import subprocess
import sys


def test_a_process_began_before_what_it_waited_for():
    """What passes before the import counts, whether or not a processor was busy."""
    script = "import time; time.sleep(0.3); from whet.core.process import process_began; print(time.monotonic() - process_began())"
    age = float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert 0.3 <= age < 3600
