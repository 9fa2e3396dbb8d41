from datetime import UTC, datetime, timedelta

import pytest

from digest.operations import mailbox

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)


def store(var_dir, to="b@lab.example", *, minutes=0):
    now = NOON + timedelta(minutes=minutes)
    return mailbox.store(var_dir, b"Subject: x\r\n\r\n", sender="a@lab.example", recipients=[to], now=now)


class TestMessages:
    def test_come_newest_first(self, tmp_path):
        ids = [store(tmp_path, minutes=minute) for minute in range(3)]

        assert [caught.id for caught in mailbox.messages(tmp_path)] == ids[::-1]

    def test_are_found_by_part_of_an_address_in_any_case(self, tmp_path):
        store(tmp_path, "mira@lab.example")
        store(tmp_path, "noor@lab.example")

        assert [c.recipients for c in mailbox.messages(tmp_path, address=" MIRA@")] == [("mira@lab.example",)]
        assert len(list(mailbox.messages(tmp_path, address="a@lab"))) == 2  # the sender's

    def test_are_none_before_the_first(self, tmp_path):
        assert list(mailbox.messages(tmp_path)) == []

    def test_beyond_the_cap_go_oldest_first_with_their_envelopes(self, tmp_path):
        ids = [store(tmp_path, minutes=minute) for minute in range(5)]

        gone = mailbox.prune(tmp_path, kept=2)

        assert gone == 3
        assert [caught.id for caught in mailbox.messages(tmp_path)] == [ids[4], ids[3]]
        assert len(list(mailbox.folder(tmp_path).iterdir())) == 4


class TestMessage:
    def test_is_read_back(self, tmp_path):
        caught = mailbox.message(tmp_path, store(tmp_path))

        assert (caught.sender, caught.recipients, caught.received_at) == (
            "a@lab.example",
            ("b@lab.example",),
            NOON,
        )

    @pytest.mark.parametrize("message_id", ["../admin-password", "20260821T120000000000-1-000001", "", "a/b"])
    def test_is_no_other_file(self, tmp_path, message_id):
        with pytest.raises(mailbox.NoSuchMessage):
            mailbox.message(tmp_path, message_id)
