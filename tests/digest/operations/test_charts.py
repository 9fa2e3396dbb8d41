import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.operations import charts

LABELS = ("23 Jun", "23 Jul", "21 Aug")


class TestLine:
    def test_its_ends_are_where_the_axis_says(self):
        line = charts.line([1800, 2200, 2600], LABELS)

        assert line.path == "M0.5,100.0L1.5,50.0L2.5,0.0"
        assert [tick.label for tick in line.y_ticks] == ["1,800", "2,000", "2,200", "2,400", "2,600"]
        assert [(tick.percent, tick.shift) for tick in line.x_ticks] == [
            ("0.0%", "0"),
            ("50.0%", "0.5"),
            ("100.0%", "1"),
        ]

    @given(st.lists(st.integers(0, 5_000_000), min_size=1, max_size=90))
    def test_no_value_leaves_the_drawing(self, values):
        line = charts.line(values, LABELS)

        heights = [float(point.split(",")[1]) for point in line.path[1:].split("L")]
        assert all(0 <= height <= 100 for height in heights)
        assert 2 <= len(line.y_ticks) <= 6


class TestBars:
    def test_both_directions_share_one_scale_and_zero(self):
        bars = charts.bars([3, 0, 1], [1, 0, 0], LABELS)

        assert (bars.top, bars.height) == (-3, 4)
        assert [(bar.y, bar.height) for bar in bars.up] == [("-3", "3"), ("-1", "1")]
        assert [(bar.y, bar.height) for bar in bars.down] == [("0", "1")]
        assert [(tick.label, tick.percent) for tick in bars.y_ticks] == [
            ("3", "100.0%"),
            ("0", "25.0%"),
            ("1", "0.0%"),
        ]

    @pytest.mark.parametrize("days", [1, 60])
    def test_nobody_coming_or_going_is_an_empty_drawing(self, days):
        bars = charts.bars([0] * days, [0] * days, LABELS)

        assert bars.up == bars.down == ()
        assert bars.height == 1
