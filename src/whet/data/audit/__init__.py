"""Is this data fit to learn and to judge from? Each check is one file; none ever touches a person's files."""

from whet.data.audit.balance import check_balance
from whet.data.audit.duplicates import check_duplicates
from whet.data.audit.finding import Finding
from whet.data.audit.run import audit
from whet.data.audit.unreadable import check_unreadable

__all__ = ["Finding", "audit", "check_balance", "check_duplicates", "check_unreadable"]
