"""DestinationRules, valid and not, field by field: tables 1.1-1.5 of what is known of Istio's DestinationRule. A case's
id begins with its row there. tests/unit/mesh/test_rule_cases.py reads them as files, tests/cluster/test_cases.py
puts them before a real API server.
"""

from tests.rule_cases.balancing import BALANCING
from tests.rule_cases.cases import Case
from tests.rule_cases.connections import CONNECTIONS
from tests.rule_cases.others import OTHERS
from tests.rule_cases.outlier import OUTLIER
from tests.rule_cases.top import TOP

__all__ = ["CASES", "Case"]

CASES = [*TOP, *BALANCING, *CONNECTIONS, *OUTLIER, *OTHERS]
