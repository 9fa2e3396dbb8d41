import pickle

import pytest

from subscriptions.filters import FilterError, parse


def error_of(text: str) -> FilterError:
    with pytest.raises(FilterError) as caught:
        parse(text)
    return caught.value


class TestFilterError:
    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("", "Column 1: the filter is empty. Write a word to find, such as agents."),
            ("  ", "Column 1: the filter is empty. Write a word to find, such as agents."),
            # brackets and quotation marks
            ("harness (agent", "Column 9: this bracket is never closed. Put ) after agent."),
            ("(", "Column 1: this bracket is never closed. Put words and ) after it."),
            ("a)", "Column 2: this bracket was never opened. Remove it, or put ( where the group begins."),
            (")", "Column 1: this bracket was never opened. Remove it, or put ( where the group begins."),
            ("a ()", "Column 3: there is nothing between these brackets. Fill or remove them."),
            ('a "reward model', 'Column 3: this quotation mark is never closed. Put " after model.'),
            (
                'a "',
                'Column 3: this quotation mark is never closed. Remove it, or write "words in quotes".',
            ),
            (
                'a ""',
                "Column 3: there is nothing between these quotation marks. Write words in them, "
                "or remove them.",
            ),
            ('"a"b', "Column 4: this touches the quotation mark before it. Put a blank between them."),
            (
                'agents"b"',
                "Column 7: this quotation mark touches the word before it. Put a blank after agents.",
            ),
            ("agents(b)", "Column 7: this bracket touches the word before it. Put a blank after agents."),
            ("title(b)", "Column 6: a colon is missing after title. Write title: and the rest behind it."),
            # operators
            (
                "a OR",
                "Column 3: OR needs something on both sides. Add what is missing, remove it, or write "
                '"OR" to find the word.',
            ),
            (
                "AND a",
                "Column 1: AND needs something on both sides. Add what is missing, remove it, or write "
                '"AND" to find the word.',
            ),
            (
                "a OR OR b",
                "Column 6: OR needs something on both sides. Add what is missing, remove it, or write "
                '"OR" to find the word.',
            ),
            (
                "(a AND ) b",
                "Column 4: AND needs something on both sides. Add what is missing, remove it, or write "
                '"AND" to find the word.',
            ),
            ("a NOT", "Column 3: NOT has nothing to leave out. Put a word behind it, or remove it."),
            (
                "a - b",
                "Column 3: this - leaves nothing out. Put it right before a word, as in -survey, "
                "or remove it.",
            ),
            ("a|b", "Column 2: | means nothing in a filter. Write OR between alternatives: a OR b."),
            ("a && b", "Column 3: & means nothing in a filter. Write AND, or only a blank."),
            ("a !b", "Column 3: ! means nothing in a filter. Write - or NOT before what to leave out."),
            ("+a", "Column 1: + is not needed: every word must be found anyway. Remove the +."),
            ("a =b", 'Column 3: = stands before a quotation mark only. Write ="exact words".'),
            # nothing to find
            (
                "-survey",
                "Column 1: a filter needs something to find; -survey only leaves things out. "
                "Put a word to find before it, as in agents -survey.",
            ),
            (
                "agents OR -survey",
                "Column 11: this side of OR needs something to find; -survey only leaves things out. "
                "Put a word to find before it, as in agents -survey.",
            ),
            (
                "-(a b)",
                "Column 1: a filter needs something to find; -(a b) only leaves things out. "
                "Put a word to find before it, as in agents -(a b).",
            ),
            # words
            (
                "ag*",
                "Column 3: * needs at least 3 letters before it. Write more of the word, or "
                '="ag*" to find the sign itself.',
            ),
            (
                "a*b",
                "Column 2: * works only at the end of a single word. Write agent* for all its endings, or "
                '="a*b" to find the sign itself.',
            ),
            (
                '"reward model*"',
                "Column 14: * works only at the end of a single word. Write agent* for all its endings, or "
                '="reward model*" to find the sign itself.',
            ),
            (
                '"agent"*',
                "Column 8: * does not work after a phrase. Put it after a single word, as in agent*.",
            ),
            (
                "世界*",
                "Column 3: * is not needed after Chinese characters, which are found anywhere in the text. "
                "Remove *.",
            ),
            ("a **", "Column 3: ** holds no letter or digit, so it finds nothing. Remove it."),
            ('a ="%"', 'Column 3: ="%" holds no letter or digit. Write words in it, or remove it.'),
            ("a %%", "Column 3: %% holds no letter or digit, so it finds nothing. Remove it."),
            ("a ...", "Column 3: ... holds no letter or digit, so it finds nothing. Remove it."),
            ("训", "Column 1: 训 is a single character. Write at least two, such as 训练."),
            ("a\x00b", "Column 2: there is an invisible control character here. Delete it."),
            # fields
            (
                "x titel:agents",
                "Column 3: there is no field titel. Did you mean title: ? If not, put it in quotes to search "
                'for it as text: "titel:agents".',
            ),
            (
                "category:cs.CL",
                "Column 1: there is no field category. Did you mean cat: ? If not, put it in "
                "quotes to search "
                'for it as text: "category:cs.CL".',
            ),
            (
                "xyzzy:1",
                "Column 1: there is no field xyzzy. Fields are title, abstract, author, org, "
                "all, cat, primary, "
                'source, kind, lang, id, has. Or put it in quotes to search for it as text: "xyzzy:1".',
            ),
            (
                "title: agents",
                "Column 7: nothing follows title: directly. Write the value right behind the "
                "colon: title:agents",
            ),
            (
                "title:",
                "Column 7: nothing follows title: directly. Write the value right behind the "
                "colon: title:...",
            ),
            (
                "a title:-b",
                "Column 9: what leaves out stands before the field. Write -title: and the value.",
            ),
            (
                "cat:cs.XX",
                "Column 5: arXiv has no category cs.XX. Write one such as cs.AI, or cs for all of them.",
            ),
            (
                "cat:sc.CL",
                "Column 5: arXiv has no category sc.CL. Did you mean cs.CL?",
            ),
            (
                "cat:everything",
                "Column 5: arXiv has no category everything. Write one such as cs.CL, or a whole "
                "archive such "
                "as cs.",
            ),
            ("has:video", "Column 5: has: does not know video. Write code, project or media."),
            ("kind:blog", "Column 6: there is no kind blog. Write paper, post, forum, news or media."),
            ("lang:english", "Column 6: english is not a language code. Write lang:en or lang:zh."),
            ("source:hugg*", "Column 8: * does not work in source: Write the whole value."),
            ("au:Y", 'Column 4: Y is an initial only. Add the surname, as in au:"Y LeCun".'),
            ("id:...", "Column 4: ... holds no letter or digit, so it finds nothing. Remove it."),
            (
                "cat:cs.CL,cs.LG",
                "Column 5: arXiv has no category cs.CL,cs.LG. Write cat:(cs.CL OR cs.LG) for one or "
                "more of them.",
            ),
            (
                "agents title:foo:b*",
                "Column 14: foo:b* cannot be written without quotes, where * does not work. Remove *.",
            ),
            (
                "agents year:2026",
                "Column 8: filters know no dates; each mail brings the papers of its own day. Remove year: "
                "and its value.",
            ),
            # numbers
            ("stars > =20", "Column 9: =20 is not a whole number. Write stars>=20."),
            ("upvotes>=1.5", "Column 10: 1.5 is not a whole number. Write upvotes>=1."),
            (
                "upvotes:20",
                "Column 8: upvotes is a number and takes no colon. Write upvotes>=20, or another figure.",
            ),
            ("votes:20", "Column 1: there is no field votes. Write upvotes>=20."),
            (
                "votes>20",
                "Column 1: there is no number votes to compare. Did you mean upvotes? If not, "
                "put it in quotes to "
                'search for it as text: "votes>20".',
            ),
            ("title>20", "Column 6: title takes a colon. Write title: and the value."),
            ("upvotes=>20", "Column 8: => is not a comparison. Write upvotes>=20."),
            ("upvotes>=", "Column 10: a number is missing after >=. Write upvotes>=20."),
            ("upvotes>=many", "Column 10: many is not a whole number. Write upvotes>=20."),
            ("upvotes>=-1", "Column 10: -1 is not a whole number. Write upvotes>=20."),
            ("upvotes>12345678901", "Column 9: this number is too large. Use at most 9 digits."),
            (
                "a >=20",
                "Column 3: > needs a name before it. Write upvotes, stars or comments before it, "
                "as in upvotes>=20.",
            ),
            # size
            (
                "agents " + "ﷺ" * 60,
                "Column 8: written out in full this filter has more than 1,000 characters. Shorten it, or "
                "make two filters of it.",
            ),
            (
                "agents " + "ﷺ" * 900,
                "Column 8: written out in full this filter has more than 1,000 characters. Shorten it, or "
                "make two filters of it.",
            ),
            (
                "a" * 1001,
                "Column 1001: this filter has 1,001 characters; 1,000 is the limit. Shorten it, or make two "
                "filters of it.",
            ),
            (
                " ".join(f"w{n:02}" for n in range(51)),
                "Column 201: this is more than 50 words and conditions. Make two filters of it.",
            ),
            (
                "(" * 11 + "a" + ")" * 11,
                "Column 11: brackets stand more than 10 deep inside each other. Remove some, or make two "
                "filters of it.",
            ),
        ],
    )
    def test_says_where_what_and_how_to_mend_it(self, text, sentence):
        assert str(error_of(text)) == sentence

    def test_shows_the_place_with_a_caret(self):
        assert error_of("harness (agent").caret == "harness (agent\n        ^"

    def test_shows_the_place_below_wide_characters(self):
        assert error_of("后训练 (a").caret == "后训练 (a\n\u3000\u3000\u3000 ^"

    def test_shows_text_of_several_lines_on_one(self):
        assert error_of("a\n(b").caret == "a (b\n  ^"

    def test_survives_pickling(self):
        error = error_of("(a")

        copy = pickle.loads(pickle.dumps(error))

        assert (str(copy), copy.column, copy.caret) == (str(error), error.column, error.caret)

    @pytest.mark.parametrize(
        "text", ["a OR (b -c)", "a (b OR -c)", "x OR -(-y)", "upvotes>=20", "has:code", "-(-a OR b)"]
    )
    def test_is_not_raised_where_every_branch_finds_something(self, text):
        assert parse(text)
