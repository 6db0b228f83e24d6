"""Contract tests for nodes: what every node promises to those who use it, checked with an example of its inputs.

    @pytest.mark.parametrize("check", contract(case(fade, image=image(), amount=0.25)), ids=str)
    def test_fade_keeps_the_contract(check):
        check()

`check_node(fade, image=image())` does all checks at once. Nothing here needs pytest, and torch is imported only where a
node or an example does.
"""

from nodegraph.testing.cases import Case as Case
from nodegraph.testing.cases import case as case
from nodegraph.testing.contract import Check as Check
from nodegraph.testing.contract import check_node as check_node
from nodegraph.testing.contract import contract as contract
from nodegraph.testing.errors import ContractError as ContractError
from nodegraph.testing.examples import conditioning as conditioning
from nodegraph.testing.examples import image as image
from nodegraph.testing.examples import latent as latent
from nodegraph.testing.examples import mask as mask
