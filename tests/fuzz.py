"""Mutation fuzzing of every parser, for as long as you like: `python -m tests.fuzz --seconds 600 [NAME…]`.

Seeds are small answers of each kind, written here, and the recorded ones of ../shared/data where that folder
exists. Each round takes a seed, or an earlier mutant that could still be parsed, spoils it (values of
the wrong kind, renamed tags and keys, hostile tokens, bytes, encodings, repetition, splices) and parses it.

What must hold, whatever comes in:

- no exception but the parser's own (`NotAList`), and each with a message;
- no input of up to a few hundred kB takes longer than SLOWEST_SECONDS;
- every entry is accounted for: declared ≥ records + rejected, and nothing is silently lost;
- what comes out can be stored: `ingest` cleans texts, so here only types and sizes are looked at.

Exit code 1 when anything did not hold; the input is written to --keep (a folder).
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.settings")

from digest.papers import gist, proofreading, remarks
from digest.papers.text import readable
from digest.sources import feed, huggingface, jsonfeed, llm, semanticscholar
from digest.sources.arxiv import api, names, oai, rss
from digest.sources.records import NotAList, Parsed

SLOWEST_SECONDS = 5.0
LONGEST = 400_000
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

TOKENS = [
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\x0b"),
    *(b"&#0;", b"&#xD800;", b"&#x202E;", b"&#99999999;", b"&lol;", b"&amp;amp;lt;", b"<![CDATA[", b"]]>"),
    b'<!DOCTYPE a [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>',
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd">',
    *(b"<script>alert(1)</script>", b"javascript:alert(1)", b"<svg onload=x>", b"<a href='data:,x'>"),
    *(b"1970-01-01T00:00:00Z", b"2099-12-31", b"Thu, 01 Jan 1970 00:00:00 GMT", b"0000-00-00", b"2026-99-99"),
    *(b"2608.99999v0", b"arXiv:0000.0000", b"math.GT/0309136v12", b"10.48550/arXiv.2608.00001", b"<!--"),
    *(b"null", b"true", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'""', b"9" * 400, b"[" * 2000),
    *(b"https://127.0.0.1/", b"http://[::1]/", b"file:///etc/passwd", b"//", b"http://a@b:c/", b"http://[bad"),
    *(b"\\frac{" * 50, b"$" * 99, b"{" * 3000, b"(" * 3000, b"," * 3000, b" and " * 1000, b"A" * 20_000),
]  # fmt: skip
VALUES = [
    *(
        None,
        True,
        -1,
        0,
        2**63,
        1.5,
        "",
        " ",
        [],
        {},
        [None],
        {"a": 1},
        "0",
        "\x00",
        "\ud800",
        "\u2028",
        "\u202e",
    ),
    *(
        "9" * 5_000,
        "A" * 50_000,
        ["x"] * 3_000,
        "1970-01-01",
        "2099-01-01",
        "javascript:alert(1)",
        "<b>x</b>",
    ),
    *("2608.00001v3", "math/0211159", "no id", "http://[bad", "https://arxiv.org/abs/2608.00001"),
]
NAMES = (b"title", b"id", b"link", b"author", b"entry", b"item", b"guid", b"pubDate", b"metadata", b"record")


def _account(parsed: Parsed) -> None:
    assert parsed.declared >= len(parsed.records) + len(parsed.rejected), (
        f"{parsed.declared} declared, {len(parsed.records)} records and {len(parsed.rejected)} rejected"
    )
    for one in parsed.rejected:
        assert one.problem, "rejected without a reason"
    if parsed.declared > len(parsed.records) + len(parsed.rejected):
        assert parsed.notes, "entries are missing and no note says why"
    for record in parsed.records:
        assert isinstance(record.title, str)
        assert record.title.strip(), "a record without a title"
        assert all(isinstance(name, str) for name in record.authors)


class Target:
    """One parser: `run(bytes)` calls it and checks what comes out; `seeds` are answers it understands."""

    def __init__(self, run: Callable[[bytes], object], seeds: Iterable[bytes]) -> None:
        self.run = run
        self.seeds = list(seeds)


def recorded(*patterns: str, largest: int = 120_000) -> list[bytes]:
    """Recorded answers, long ones cut in the middle of nowhere: that is a case too."""
    return [
        path.read_bytes()[:largest]
        for pattern in patterns
        for path in sorted(SHARED.glob(pattern))
        if path.is_file()
    ]


def targets() -> dict[str, Target]:
    from datetime import date

    day = date(2026, 8, 20)
    entry = {
        "paper": {
            "id": "2608.18565", "title": "Agents", "summary": "We study $\\alpha$.", "upvotes": 3,
            "authors": [{"name": "Ada Lovelace", "hidden": False}],
            "submittedOnDailyAt": "2026-08-20T00:00:00.000Z", "publishedAt": "2026-08-19T00:00:00.000Z",
            "githubRepo": "https://github.com/a/b", "ai_keywords": ["agents"],
            "organization": {"name": "lab"},
        },
        "title": "Agents", "numComments": 1, "thumbnail": "https://example.org/a.png",
    }  # fmt: skip
    plain_feed = (
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>Lab</title><link>https://lab.example/</link>'
        b"<item><title>A post</title><link>https://lab.example/1</link><guid>1</guid>"
        b"<pubDate>Thu, 20 Aug 2026 09:00:00 GMT</pubDate><description>&lt;p&gt;See "
        b'&lt;a href="https://arxiv.org/abs/2608.18565"&gt;this&lt;/a&gt;&lt;/p&gt;</description></item>'
        b"</channel></rss>"
    )
    json_feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Lab",
        "items": [{"id": "1", "url": "https://lab.example/1", "title": "A post", "content_html": "<p>x</p>"}],
    }
    words = [text.encode() for text in (*_TEXTS, "“Agents”, and ﬁve more… 语言模型 שלום")]
    return {
        "huggingface": Target(
            lambda body: _account(huggingface.parse(body, day)),
            [
                json.dumps([entry, entry | {"title": None}]).encode(),
                b"[]",
                *recorded("hf_daily_papers/history/2024*.json", "hf_daily_papers/2026-07-24.json"),
            ],
        ),
        "arxiv-rss": Target(
            lambda body: _account(rss.parse(body).parsed), [plain_feed, *recorded("arxiv_rss/**/*.xml")]
        ),
        "arxiv-oai": Target(
            lambda body: _account(oai.parse(body, day).parsed), [plain_feed, *recorded("arxiv_oai/**/*.xml")]
        ),
        "arxiv-api": Target(
            lambda body: _account(api.parse(body).parsed), [plain_feed, *recorded("arxiv_api/*")]
        ),
        "feed": Target(
            lambda body: _account(feed.parse(body, day)),
            [plain_feed, *recorded("feeds/**/*.xml", "feeds/**/*.rss")],
        ),
        "jsonfeed": Target(
            lambda body: _account(jsonfeed.parse(body, day)), [json.dumps(json_feed).encode()]
        ),
        "names": Target(lambda body: names.split(_text(body)), words),
        "remarks": Target(lambda body: remarks.read(_text(body), _text(body)), words),
        "gist": Target(lambda body: gist.best_sentence(_text(body)[:300], _text(body)), words),
        "llm": Target(
            lambda body: _or_refused(lambda: _proofread_all(llm.read(body, kinds=["summary", "title"]))),
            [json.dumps(_completion(content)).encode() for content in _COMPLETIONS],
        ),
        "proofreading": Target(lambda body: _or_refused(lambda: _is_clean(_proofread(_text(body)))), words),
        "semanticscholar": Target(
            lambda body: semanticscholar.parse(body, ["ARXIV:1", "DOI:10.1/x"]),
            [b'[null, {"citationCount": 1, "tldr": {"text": "x"}, "externalIds": {"ArXiv": "1"}}]'],
        ),
        "text": Target(lambda body: _is_clean(readable(_text(body)[:20_000])), words),
    }


_COMPLETIONS = (
    '{"summary": "We study agents.", "title": "Agents"}',
    '```json\n{"summary": "一", "title": "二"}\n```',
    '<think>well</think>{"summary": "See https://a.example", "title": "<b>"}',
)


def _completion(content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "model": "m",
        "usage": {"total_tokens": 9},
    }


def _proofread(text: str) -> str:
    paper = (
        "We show that agents gain 3.5 points of 12 with α-RL, see https://github.com/a/b or Ada Lovelace. "
        * 3
    )
    return proofreading.proofread("abstract", text, title="Agents", abstract=paper, language="en")


def _proofread_all(completion: llm.Completion) -> None:
    for text in completion.texts.values():
        _is_clean(_proofread(text))


def _or_refused(run: Callable[[], object]) -> None:
    reason = "none needed"
    try:
        run()
    except (llm.Unusable, proofreading.Refused) as error:
        reason = str(error)
    assert reason, "refused without a reason"
    assert "\0" not in reason, "a reason that cannot be stored"
    reason.encode()


_TEXTS = (
    "Ada Lovelace (1 and 2), Charles Babbage Jr. (2) ((1) Univ. of London, (2) ETH Zürich)",
    "The ATLAS Collaboration: G. Aad, B. Abbott, and D. C. Abbott for the LHC",
    "Accepted at ICML 2026 (Oral); 12 pages, 3 figures. Code: https://github.com/a/b. Project: https://a.io/x",
    "This paper has been withdrawn by the authors due to an error in Lemma 3.",
    r"We show $\mathcal{O}(n^{2})$ for $\alpha$-RL, \textbf{bold}, G\'odel, 50\% and {\it et al.} \cite{a}",
    "What is known? Little (e.g. Fig. 3, cf. et al.). We propose X. It gains 3.5 points.",
)


def _text(body: bytes) -> str:
    """Text with lone surrogates where the bytes have them: a JSON source can send those."""
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")


def _is_clean(text: str) -> None:
    assert "\n" not in text, "more than one line"
    assert not any(c in text for c in "\x00\u202e\u2028"), "characters that hide or rearrange"
    text.encode()  # no lone surrogate


def misled(seed: bytes, chance: random.Random) -> bytes | None:
    """Well-formed JSON with values of the wrong kind in it; None where the seed is no JSON."""
    try:
        tree = json.loads(seed)
    except (ValueError, RecursionError):
        return None
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in list(keys):
            places.append((node, key))
            waiting.append(node[key])
    for _ in range(chance.choice((1, 1, 2, 4, 10))):
        if places:
            node, key = chance.choice(places)
            if (isinstance(node, dict) and key in node) or (isinstance(node, list) and key < len(node)):
                if chance.random() < 0.2:
                    del node[key]
                else:
                    node[key] = chance.choice(VALUES)
    return json.dumps(tree).encode()


def spoiled(seed: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """The seed with one to eight things wrong with it."""
    if seed[:1] in (b"[", b"{") and chance.random() < 0.6 and (wrong := misled(seed, chance)):
        return wrong[:LONGEST]
    body = bytearray(seed)
    gentle = chance.random() < 0.6  # well-formed still: values and names only
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 8))):
        at = chance.randrange(len(body) + 1)
        match chance.choice((6, 6, 7, 9)) if gentle else chance.randrange(11):
            case 0 if body:
                body[min(at, len(body) - 1)] = chance.randrange(256)
            case 1:
                body[at:at] = chance.choice(TOKENS)
            case 2:
                del body[at : at + chance.choice((1, 2, 10, 100, 5_000))]
            case 3:
                end = at + chance.choice((3, 20, 200, 2_000))
                body[at:at] = body[at:end] * chance.choice((1, 2, 30))
            case 4:
                other = chance.choice(others)
                cut = chance.randrange(len(other) + 1)
                body[at:] = other[cut:]
            case 5:
                del body[at:]
            case 6:  # between two quotes or two tags: a value of another kind
                start = max(body.rfind(b'"', 0, at), body.rfind(b">", 0, at)) + 1
                ends = [end for end in (body.find(b'"', at), body.find(b"<", at)) if end >= 0]
                body[start : min(ends, default=len(body))] = chance.choice(TOKENS)
            case 7:  # a tag or key renamed
                count = chance.choice((2, 4, 1_000))
                body[:] = body.replace(chance.choice(NAMES), chance.choice((*NAMES, b"x:a", b"")), count)
            case 8:
                encoding = chance.choice(("utf-16", "utf-32", "latin-1", "cp1252", "utf-7", "gb18030"))
                body[:] = bytes(body).decode("utf-8", "replace").encode(encoding, "replace")
            case 9:
                digits = [i for i in range(len(body)) if 48 <= body[i] <= 57][:5_000]
                if digits:
                    body[chance.choice(digits)] = 48 + chance.randrange(10)
            case _:
                body[at:at] = chance.randbytes(chance.choice((1, 4, 64)))
        del body[LONGEST:]
    return bytes(body)


def fuzz(name: str, target: Target, *, seconds: float, seed: int, keep: Path) -> tuple[int, Counter[str]]:
    """How many inputs were tried, and how often each outcome came; broken ones are written to `keep`."""
    chance = random.Random(seed)
    pool = list(target.seeds)
    outcomes: Counter[str] = Counter()
    tried = 0
    end = time.process_time() + seconds  # of this processor: others may be busy with more than us
    while time.process_time() < end:
        body = spoiled(chance.choice(pool), target.seeds, chance)
        tried += 1
        began = time.process_time()
        try:
            target.run(body)
            outcome = "parsed"
        except NotAList as error:
            outcome = "refused" if str(error) else "BROKEN refused without a word"
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"BROKEN {type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            if not outcomes[outcome]:
                _keep(keep, name, body, "".join(traceback.format_exception(error)))
        took = time.process_time() - began
        if took > SLOWEST_SECONDS:
            outcome = f"BROKEN slow ({took:.0f} s)"
            _keep(keep, name, body, outcome)
        if outcome == "parsed" and len(pool) < 2_000 and chance.random() < 0.02:
            pool.append(body)
        outcomes[outcome] += 1
    return tried, outcomes


def _keep(folder: Path, name: str, body: bytes, why: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{name}-{hashlib.sha256(body).hexdigest()[:12]}"
    stem.with_suffix(".bin").write_bytes(body)
    stem.with_suffix(".txt").write_text(why, errors="replace")
    say(f"{name}: {why.splitlines()[-1][:200]} -> {stem}.bin")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="Parsers (default: all).")
    parser.add_argument("--seconds", type=float, default=600.0, help="Of processor time, for each parser.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("var/fuzz"))
    options = parser.parse_args()
    known = targets()
    broken = False
    for name in options.names or known:
        tried, outcomes = fuzz(
            name, known[name], seconds=options.seconds, seed=options.seed, keep=options.keep
        )
        bad = {outcome: count for outcome, count in outcomes.items() if outcome.startswith("BROKEN")}
        broken = broken or bool(bad)
        parsed, refused = outcomes["parsed"], outcomes["refused"]
        say(f"{name}: {tried:,} inputs, {parsed:,} parsed, {refused:,} refused, {sum(bad.values()):,} broken")
        for outcome, count in bad.items():
            say(f"  {outcome}: {count:,}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
