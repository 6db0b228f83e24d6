"""Makes pictures again from what they carry, and tells what differs: `nodegraph verify`."""

from nodegraph.verification.report import Difference as Difference
from nodegraph.verification.report import Pixels as Pixels
from nodegraph.verification.report import Report as Report
from nodegraph.verification.verify import Verifier as Verifier
from nodegraph.verification.verify import Wish as Wish
