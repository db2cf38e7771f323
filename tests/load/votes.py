"""Conversations for a benchmark: Tally's and the textbook's, and whether every count of them equals its rows."""

from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import psycopg

from libs.cli.callers.generated import GeneratedConversation
from libs.cli.callers.importing import import_conversation
from tests.services.voting.recount import DIFFERING

OPINIONS, GROUPS, SOME = 50, 5, 200
LARGE = GeneratedConversation("https://tally.example/large", opinions=19_000, votes=113_000, people=5_000)
HUGE = GeneratedConversation("https://tally.example/huge", opinions=20_000, votes=2_000_000, people=33_000)

TEXTBOOK_VOTES = """
CREATE TABLE textbook.conversations (conversation_id uuid PRIMARY KEY, vote_count integer NOT NULL DEFAULT 0)
    WITH (fillfactor = 70);
CREATE TABLE textbook.opinions (
    opinion_id      uuid    PRIMARY KEY,
    conversation_id uuid    NOT NULL REFERENCES textbook.conversations,
    agree_count     integer NOT NULL DEFAULT 0,
    disagree_count  integer NOT NULL DEFAULT 0,
    pass_count      integer NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE TABLE textbook.votes (
    opinion_id uuid        NOT NULL REFERENCES textbook.opinions,
    user_id    uuid        NOT NULL,
    vote       smallint    NOT NULL,
    request_id uuid        NOT NULL,
    vote_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (opinion_id, user_id)
);
"""
NEW = """
WITH conversation AS (
    INSERT INTO voting.conversations (conversation_id, title, description, opinion_count, visible_opinion_count)
    VALUES (uuidv7(), 'Main Street', '', %(opinions)s, %(opinions)s) RETURNING conversation_id
)
INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, created_time)
SELECT conversation_id, uuidv7(), gen_random_uuid(), 'It should be closed to cars.', 'unmoderated', now()
FROM conversation, generate_series(1, %(opinions)s) RETURNING conversation_id::text, opinion_id::text
"""
NEW_TEXTBOOK = """
WITH conversation AS (INSERT INTO textbook.conversations VALUES (uuidv7()) RETURNING conversation_id)
INSERT INTO textbook.opinions (conversation_id, opinion_id)
SELECT conversation_id, uuidv7() FROM conversation, generate_series(1, %(opinions)s)
RETURNING conversation_id::text, opinion_id::text
"""
# What an analysis would have left: four numbers a group and opinion, and two hundred opinions that stand for each group.
STATISTICS = """
INSERT INTO voting.opinion_statistics (conversation_id, opinion_id, group_votes)
SELECT conversation_id, opinion_id,
       (SELECT array_agg(number ORDER BY g, place) FROM generate_series(0, %(last)s) g,
        unnest(ARRAY[g, agree_count / (g + 1), disagree_count / (g + 1), pass_count / (g + 1)])
        WITH ORDINALITY AS numbers(number, place))
FROM voting.opinions WHERE conversation_id = %(conversation)s
"""
GROUP_OPINIONS = """
INSERT INTO voting.group_opinions (conversation_id, group_id, place, opinion_id)
SELECT %(conversation)s, g, place, opinion_id
FROM generate_series(0, %(last)s) g,
     LATERAL (SELECT opinion_id, row_number() OVER (ORDER BY md5(opinion_id::text || g)) AS place FROM voting.opinions
              WHERE conversation_id = %(conversation)s LIMIT 200) standing
"""
CAST = """
SELECT vote_count, (SELECT count(*) FROM voting.votes v WHERE v.conversation_id = c.conversation_id)
FROM voting.conversations c WHERE conversation_id = %s
"""
TEXTBOOK_CAST = """
SELECT vote_count, (SELECT count(*) FROM textbook.votes JOIN textbook.opinions o USING (opinion_id)
                    WHERE o.conversation_id = c.conversation_id),
       (SELECT sum(agree_count + disagree_count + pass_count) FROM textbook.opinions o
        WHERE o.conversation_id = c.conversation_id)
FROM textbook.conversations c WHERE conversation_id = %s
"""
EMPTY = """
TRUNCATE voting.conversations, voting.opinions, voting.votes, voting.participants, voting.opinion_statistics,
         voting.group_opinions, voting.analyses, textbook.conversations, textbook.opinions, textbook.votes
"""


class Votes:
    """Those of a database. Opinions are written `conversation/opinion`, as counters have it."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._recounting = psycopg.RawCursor(connection)

    def new(self) -> list[str]:
        """The opinions of a new conversation, which is alone."""
        return self._opinions(NEW)

    def textbook(self) -> list[str]:
        return self._opinions(NEW_TEXTBOOK)

    def empty(self) -> None:
        self._connection.execute(EMPTY)

    def large(self, address: str) -> str:
        """A conversation at the size of the largest known, analysed, imported when first asked for."""
        if self._import(LARGE, address):
            for statement in (STATISTICS, GROUP_OPINIONS):
                arguments = {"conversation": LARGE.conversation_id, "last": GROUPS - 1}
                self._connection.execute(statement.encode(), arguments)
            self._settle()
        return LARGE.conversation_id

    def huge(self, address: str) -> str:
        """An opinion of a conversation of two million votes, imported when first asked for."""
        if self._import(HUGE, address):
            self._settle()
        return self.opinions(HUGE.conversation_id)[0]

    def of_large(self, address: str) -> list[str]:
        """Some opinions of the large conversation."""
        return self.opinions(self.large(address))[:SOME]

    def listings(self, order: str, address: str) -> list[str]:
        """Of the large conversation in this order, for each group if it goes by group."""
        groups = range(GROUPS if order == "group" else 1)
        return [f"{self.large(address)}/{order}/{group_id}" for group_id in groups]

    def opinions(self, conversation_id: str) -> list[str]:
        statement = "SELECT opinion_id::text FROM voting.opinions WHERE conversation_id = %s"
        return [f"{conversation_id}/{row[0]}" for row in self._connection.execute(statement, [conversation_id])]

    def cast(self, conversation_id: str) -> tuple[int, ...]:
        """How many votes a conversation has, by its counter and its rows: twice the same."""
        return self._one(CAST, conversation_id)

    def textbook_cast(self, conversation_id: str) -> tuple[int, ...]:
        return self._one(TEXTBOOK_CAST, conversation_id)

    def differing(self, conversation_id: str) -> list[Any]:
        """Every counter of the conversation, its opinions and its people that differs from its rows."""
        return self._recounting.execute(DIFFERING.encode(), [conversation_id]).fetchall()

    def _import(self, conversation: GeneratedConversation, address: str) -> bool:
        """Whether it had to be imported; nothing else is there then."""
        there = "SELECT FROM voting.conversations WHERE conversation_id = %s"
        if self._connection.execute(there, [conversation.conversation_id]).fetchone() is not None:
            return False
        self.empty()
        import_conversation(address, conversation.pieces())
        return True

    def _settle(self) -> None:
        self._connection.execute("VACUUM (ANALYZE)")
        self._connection.execute("CHECKPOINT")

    def _opinions(self, statement: str) -> list[str]:
        self.empty()
        made = self._connection.execute(statement.encode(), {"opinions": OPINIONS})
        return ["/".join(row) for row in made]

    def _one(self, statement: str, conversation_id: str) -> tuple[int, ...]:
        row: Any = self._connection.execute(statement.encode(), [conversation_id]).fetchone() or (0,)
        return tuple(row)


def new_import() -> str:
    """The external id of a conversation that is not there yet."""
    return f"https://tally.example/{uuid4()}"


def conversation_of(resource: str) -> str:
    """The conversation of an opinion, of a listing, or with an external id."""
    if resource.startswith("https:"):
        return str(uuid5(NAMESPACE_URL, resource))
    return resource.partition("/")[0]
