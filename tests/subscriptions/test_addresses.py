import pytest

from subscriptions.addresses import BadAddress, checked


class TestChecked:
    @pytest.mark.parametrize(
        "typed", ["ada@lab.example", " ada@lab.example ", "a" * 64 + "@lab.example", "ada+papers@lab.test"]
    )
    def test_takes_what_can_be_written_to(self, typed):
        assert checked(typed)

    @pytest.mark.parametrize(
        "typed", ["", "ada", "ada@", "ada@lab@example", "a" * 65 + "@lab.example", "ada\r\nBcc: x@y.example"]
    )
    def test_refuses_what_cannot(self, typed):
        with pytest.raises(BadAddress):
            checked(typed)
