"""The contract that every method keeps, ours and third parties': run it over your own with

    from whet.testing import check_method
    def test_contract(): check_method(MyMethod)

A method that cannot keep a check says so in its `exceptions`, with the reason.
"""

from whet.testing.checks import CHECKS, check_method

__all__ = ["CHECKS", "check_method"]
