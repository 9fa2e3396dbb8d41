"""The reader's page about the filter language."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

# What to type, and what it finds. Each one parses (tests/digest/web/test_filters.py).
EXAMPLES = (
    ("agents memory", "Both words, in title or abstract, in any form: agent, agents, agentic."),
    ('"world model"', "The words next to each other."),
    ("GRPO OR RLVR", "Either. OR, AND and NOT are written in capitals."),
    ("benchmark -survey", "The first, without the second."),
    ('reasoning ("chain of thought" OR verifier)', "Brackets say what belongs together."),
    ("quantiz*", "Everything that begins so: quantize, quantization, quantized."),
    ('="Dreamer"', "Exactly so: no other ending and no other spelling."),
    ("title:diffusion", "In the title only; abstract: looks in the abstract."),
    ('author:"Yann LeCun"', "An author, in any order, with or without accents; an initial will do."),
    ("org:deepmind", "The organisation behind the paper."),
    ("has:code upvotes>=20", "With code, and at least 20 votes. Also stars and comments."),
    ("cat:cs.CL", "An arXiv category, cross-lists counted."),
    ("midtraining", "Also mid-training and “mid training”."),
    ("后训练", "Chinese words also mean their English: post-training."),
)


@require_safe
@cache_control(public=True, max_age=3600)
@conditional_page
def reference(request: HttpRequest) -> HttpResponse:
    return render(request, "web/filters.html", {"examples": EXAMPLES})
