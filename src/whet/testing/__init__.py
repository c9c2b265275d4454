"""The contract tests for methods, built-in and third-party. Test your own method with

    from whet.testing import check_method
    def test_contract(): check_method(MyMethod)

A method that cannot pass a check lists it in its `exceptions` with the reason.
"""

from whet.testing.checks import CHECKS, check_method

__all__ = ["CHECKS", "check_method"]
