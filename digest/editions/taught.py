"""What readers taught: their opinions, models and mutes, as compose asks for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from digest.editions import feedback, reader_models, relevance
from digest.editions.material import Material
from digest.matching.learning import LinearModel
from subscriptions.models import SubscribedTopic, Subscriber, Topic


@dataclass
class Taught:
    """What some readers said of papers, and what they never want; a few queries for all of them."""

    said: Mapping[int, Mapping[int | None, feedback.Examples]] = field(default_factory=dict)
    models: Mapping[int, Mapping[int | None, LinearModel]] = field(default_factory=dict)
    mutes: Mapping[int, Sequence[int]] = field(default_factory=dict)  # ids of filters
    _scored: dict[tuple[int, int], relevance.Scores] = field(default_factory=dict)  # by reader and topic

    @classmethod
    def by(cls, subscriber_ids: Sequence[int]) -> "Taught":
        said = feedback.examples(subscriber_ids)
        models = reader_models.models(list(said)) if said else {}
        return cls(said, models, feedback.mutes(subscriber_ids))

    @property
    def muted_filters(self) -> set[int]:
        return {filter_id for of_one in self.mutes.values() for filter_id in of_one}

    def mutes_of(self, reader: Subscriber) -> Sequence[int]:
        return self.mutes.get(reader.pk, ())

    def has_said(self, reader: Subscriber) -> bool:
        return reader.pk in self.said

    def score(
        self,
        material: Material,
        readers: Iterable[Subscriber],
        topics: Mapping[int, Iterable[SubscribedTopic]],
    ) -> None:
        """Work out `scores` of all of them ahead: composing holds a lock, which is no time for arithmetic."""
        for reader in filter(self.has_said, readers):
            for row in topics.get(reader.pk, ()):
                self.scores(material, reader, row.topic)

    def scores(self, material: Material, reader: Subscriber, topic: Topic) -> relevance.Scores:
        """The relevance of a topic's papers to this reader; what was said of no topic counts for each."""
        key = reader.pk, topic.pk
        if key not in self._scored:
            self._scored[key] = self._scores(material, reader, topic)
        return self._scored[key]

    def _scores(self, material: Material, reader: Subscriber, topic: Topic) -> relevance.Scores:
        said = self.said[reader.pk]
        sides = [said[key] for key in (topic.pk, None) if key in said]
        models = self.models.get(reader.pk, {})
        model = models.get(topic.pk, models.get(None))
        if not sides and model is None:
            return {}
        return material.relevance.personal(
            topic,
            material.found(topic.filter_id),
            liked=[paper for liked, _ in sides for paper in liked],
            disliked=[paper for _, disliked in sides for paper in disliked],
            model=model,
        )
