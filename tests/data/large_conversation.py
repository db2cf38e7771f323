"""A conversation at the size of the largest known: 19,000 opinions, 113,000 votes of 5,000 people, every opinion analysed."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from psycopg import sql

from tests.postgres import scratch_database

CONVERSATION, SMALL = UUID(int=1), UUID(int=2)
FRESH, ACTIVE, TIRELESS = UUID(int=3), UUID(int=4), UUID(int=5)
OPINIONS, VOTES, PEOPLE, GROUPS, PLACES, CONVERSATIONS = 19_000, 113_000, 5_000, 5, 200, 5_000
# What ACTIVE has voted on is what would be asked next; TIRELESS has voted on all that can be voted on.
VOTES_OF_ACTIVE = 6_000

# Half of all votes are on a quarter of the opinions. Most votes are there before the opinions, whose numbers follow from them.
FILL = f"""
INSERT INTO voting.conversations (conversation_id, title, description)
SELECT CASE n WHEN 1 THEN '{CONVERSATION}'::uuid WHEN 2 THEN '{SMALL}' ELSE gen_random_uuid() END, 'Number ' || n, ''
FROM generate_series(1, {CONVERSATIONS}) n;

INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time)
SELECT '{CONVERSATION}', md5('person ' || n % {PEOPLE})::uuid, md5('opinion ' || opinion)::uuid,
       CASE WHEN n % 5 < 3 THEN 1 WHEN n % 5 = 3 THEN -1 ELSE 0 END, now()
FROM generate_series(1, {VOTES}) n,
     LATERAL (SELECT (n / {PEOPLE} + (n % {PEOPLE}) / {PEOPLE}::float8) / ({VOTES} / {PEOPLE} + 1) AS part) chosen,
     LATERAL (SELECT ({OPINIONS} * part * part)::integer AS opinion) numbered;

INSERT INTO voting.opinions
    (conversation_id, opinion_id, author_id, body, state, agree_count, disagree_count, pass_count, created_time)
SELECT '{CONVERSATION}', opinion_id, md5('person ' || n % {PEOPLE})::uuid, repeat('Because. ', 15),
       CASE WHEN n % 100 = 1 THEN 'hidden' WHEN n % 100 = 2 THEN 'moved' WHEN n % 2 = 1 THEN 'accepted' ELSE 'unmoderated' END,
       coalesce(agrees, 0), coalesce(disagrees, 0), coalesce(passes, 0), now() - n * interval '1 minute'
FROM generate_series(0, {OPINIONS - 1}) n, LATERAL (SELECT md5('opinion ' || n)::uuid AS opinion_id) o LEFT JOIN
     (SELECT opinion_id, count(*) FILTER (WHERE vote = 1) AS agrees, count(*) FILTER (WHERE vote = -1) AS disagrees,
             count(*) FILTER (WHERE vote = 0) AS passes FROM voting.votes GROUP BY opinion_id) v USING (opinion_id);

INSERT INTO voting.opinions (conversation_id, opinion_id, author_id, body, state, created_time)
SELECT '{SMALL}', md5('small ' || n)::uuid, '{FRESH}', 'Because.', 'accepted', now() FROM generate_series(1, 2000) n;

INSERT INTO voting.votes (conversation_id, user_id, opinion_id, vote, vote_time)
SELECT conversation_id, '{ACTIVE}'::uuid, opinion_id, 1, now()
FROM (SELECT conversation_id, opinion_id FROM voting.opinions
      WHERE conversation_id = '{CONVERSATION}' AND state IN ('accepted', 'unmoderated')
      ORDER BY priority_rank DESC, opinion_id DESC LIMIT {VOTES_OF_ACTIVE}) asked
UNION ALL
SELECT conversation_id, '{TIRELESS}', opinion_id, 1, now() FROM voting.opinions
WHERE conversation_id = '{CONVERSATION}' AND state IN ('accepted', 'unmoderated');

INSERT INTO voting.opinion_statistics (conversation_id, opinion_id, group_votes)
SELECT conversation_id, opinion_id,
       (SELECT array_agg(number ORDER BY g, place) FROM generate_series(0, {GROUPS - 1}) g,
        unnest(ARRAY[g, agree_count / {GROUPS}, disagree_count / {GROUPS}, pass_count / {GROUPS}])
        WITH ORDINALITY AS numbers(number, place))
FROM voting.opinions;

INSERT INTO voting.analyses
SELECT conversation_id, 1, 0, pg_current_xact_id(), now(), 0, 0, 0, '', '', '{{}}', '{{}}', '{{}}', '{{}}', ''
FROM voting.conversations WHERE conversation_id <> '{CONVERSATION}';

INSERT INTO voting.group_opinions (conversation_id, group_id, place, opinion_id)
SELECT '{CONVERSATION}', g, n, md5('opinion ' || (g * 1000 + n))::uuid
FROM generate_series(0, {GROUPS - 1}) g, generate_series(1, {PLACES}) n
"""


@contextmanager
def large_conversation(server: psycopg.Connection, url: str, template: str) -> Iterator[str]:
    with scratch_database(server, url, template) as database_url:
        with psycopg.connect(database_url, autocommit=True) as db:
            for statement in FILL.split(";\n"):
                db.execute(sql.SQL(statement))
            db.execute("VACUUM (ANALYZE)")
        yield database_url
