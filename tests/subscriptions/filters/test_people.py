import pytest

from subscriptions.filters import people


class TestSame:
    @pytest.mark.parametrize(
        ("wanted", "name"),
        [
            ("Yann LeCun", "Yann LeCun"),
            ("lecun", "Yann LeCun"),
            ("LeCun Yann", "Yann LeCun"),
            ("LeCun, Yann", "Yann LeCun"),
            ("Y. LeCun", "Yann LeCun"),
            ("Y LeCun", "Yann LeCun"),
            ("Yann LeCun", "Y. LeCun"),
            ("Yann LeCun", "Yann A. LeCun"),
            ("Yann Le Cun", "Yann LeCun"),
            ("Bernhard Scholkopf", "Bernhard Schölkopf"),
            ("Jean-Luc Picard", "Jean Luc Picard"),
            ("Jean-Luc Picard", "Jeanluc Picard"),
            ("J.-L. Picard", "Jean-Luc Picard"),
            ("JL. O'Brien", "JL OBrien"),
            ("恺明", "何恺明"),
            ("何恺明", "何恺明"),
        ],
    )
    def test_ignores_order_accents_dots_and_takes_initials(self, wanted, name):
        assert people.same(wanted, name)

    @pytest.mark.parametrize(
        ("wanted", "name"),
        [
            ("Yann LeCun", "Yasmine LeCun"),
            ("Yann LeCun", "Yann Martel"),
            ("Yann LeCun", "LeCun"),
            ("Y. L.", "Yann LeCun"),
            ("Yann LeCun", "Y. L."),
            ("He", "Hector Heimann"),
            ("Li Li", "Li Wang"),
        ],
    )
    def test_tells_people_apart(self, wanted, name):
        assert not people.same(wanted, name)
