"""Tiny samples of our own in the formats of published benchmarks, for what no file at hand can show."""

from typing import Any


def locomo() -> list[dict[str, Any]]:
    """Two sessions, a photo with a caption and a search phrase, and a question of each kind."""
    return [
        {
            "sample_id": "conv-1",
            "conversation": {
                "speaker_a": "Ada",
                "speaker_b": "Ben",
                "session_1_date_time": "1:56 pm on 8 May, 2023",
                "session_1": [
                    {"speaker": "Ada", "dia_id": "D1:1", "text": "I planted a fig tree."},
                    {
                        "speaker": "Ben",
                        "dia_id": "D1:2",
                        "text": "Look at mine!",
                        "img_url": ["https://example.org/a.jpg"],
                        "blip_caption": "a photo of a lemon tree",
                        "query": "citrus garden secret phrase",
                    },
                ],
                "session_2_date_time": "9:00 am on 10 May, 2023",
                "session_2": [{"speaker": "Ada", "dia_id": "D2:1", "text": "The fig has a leaf."}],
            },
            "qa": [
                {"question": "What did Ada plant?", "answer": "a fig tree", "evidence": ["D1:1"], "category": 4},
                {
                    "question": "Would she like figs?",
                    "answer": "Likely yes; she grows them",
                    "evidence": ["D1:01"],
                    "category": 3,
                },
                {"question": "What came of it?", "answer": 1, "evidence": ["D1:1; D2:1", "D9:9"], "category": 1},
                {"question": "When?", "answer": "8 May 2023", "evidence": [], "category": 2},
                {
                    "question": "What did Ben plant?",
                    "adversarial_answer": "a fig tree",
                    "evidence": ["D1:1"],
                    "category": 5,
                },
            ],
            "observation": {"secret": "an answer that a model wrote"},
            "event_summary": {"secret": "an answer that a model wrote"},
            "session_summary": {"secret": "an answer that a model wrote"},
        }
    ]


def longmemeval() -> list[dict[str, Any]]:
    """An update over two sessions that the file has out of order, a question without marks, and an abstention."""
    said = [
        [
            {"role": "user", "content": "I moved to Porto.", "has_answer": True},
            {"role": "assistant", "content": "How nice.", "has_answer": False},
        ],
        [{"role": "user", "content": "I like tea."}, {"role": "assistant", "content": "Green tea?"}],
        [
            {"role": "user", "content": "I live in Faro.", "has_answer": True},
            {"role": "assistant", "content": " "},
        ],
    ]
    update = {
        "question_id": "q1",
        "question_type": "knowledge-update",
        "question": "Where do I live?",
        "answer": "Porto",
        "question_date": "2023/06/01 (Thu) 10:00",
        "haystack_dates": ["2023/05/30 (Tue) 08:08", "2023/05/20 (Sat) 09:00", "2023/05/10 (Wed) 23:59"],
        "haystack_session_ids": ["answer_2", "sharegpt_7", "answer_1"],
        "haystack_sessions": said,
        "answer_session_ids": ["answer_1", "answer_2"],
    }
    unmarked = update | {
        "question_id": "q2",
        "question_type": "single-session-user",
        "question": "What do I drink?",
        "answer": "tea",
        "answer_session_ids": ["sharegpt_7"],
    }
    absent = update | {"question_id": "q3_abs", "question": "Where is my boat?", "answer": "You did not say."}
    return [update, unmarked, absent]


def hotpotqa() -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Questions with sentences by title, and a corpus of the same form."""
    corpus = {"Alû": ["A spirit.", " It roams."], "Lilu": ["A word.", " Related to Alû."], "Azul": ["A tournament."]}
    asked = {
        "_id": "5a77",
        "type": "bridge",
        "level": "easy",
        "question": "What is Lilu?",
        "answer": "a spirit",
        "supporting_facts": [["Alû", 0], ["Lilu", 0], ["Lilu", 1]],
        "context": [[title, sentences] for title, sentences in corpus.items()],
    }
    return [asked], corpus


def two_wiki() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Questions with sentences by title; a corpus of texts that join them with a space, with one title twice."""
    corpus = [
        {"title": "Polish film", "text": "It is a film. Made by Jan."},
        {"title": "Jan", "text": "Jan was born in Brno."},
        {"title": "Jan", "text": "Jan is a river."},
    ]
    asked = {
        "_id": "8813",
        "type": "compositional",
        "question": "Where was the maker of Polish film born?",
        "answer": "Brno",
        "supporting_facts": [["Polish film", 1], ["Jan", 0]],
        "context": [["Polish film", ["It is a film.", "Made by Jan."]], ["Jan", ["Jan was born in Brno."]]],
    }
    return [asked, asked | {"_id": "8814", "context": [["Polish film", ["It is lost."]]]}], corpus


def beam() -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Two batches, tails of bookkeeping, and evidence as a list, lists in a list, a dict, and not at all."""
    chat = [
        {
            "batch_number": 1,
            "turns": [
                [
                    {"role": "user", "id": 0, "time_anchor": "March-15-2024", "content": "I ship in May. ->-> 1,1"},
                    {"role": "assistant", "id": 1, "content": "a -> b, then ->-> c"},
                ]
            ],
        },
        {
            "batch_number": 2,
            "turns": [
                [
                    {"role": "user", "id": 2, "time_anchor": "2024-04-05", "content": "I ship in June. ->-> 2,N/A"},
                    {"role": "assistant", "id": 3, "content": "Noted. ->->  2,1"},
                ]
            ],
        },
    ]
    probing = {
        "abstention": [{"question": "Who paid?", "ideal_response": "It is not said."}],
        "event_ordering": [{"question": "In what order?", "answer": "May, June", "source_chat_ids": [[0, 1], 2]}],
        "knowledge_update": [
            {
                "question": "When do I ship?",
                "answer": "June",
                "source_chat_ids": {"original_info": [0], "updated_info": [2]},
            }
        ],
        "preference_following": [{"question": "What next?", "source_chat_ids": []}],
        "summarization": [{"question": "Sum up.", "ideal_summary": "It moved.", "source_chat_ids": [0, 77]}],
    }
    return chat, probing


def temporal_memory() -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Three sessions, two of them on one day, and a group of each trap."""
    said = [
        ("1", "01:56:04 PM on Monday 08 May, 2023"),
        ("2", "10:00:00 AM on Saturday 13 May, 2023"),
        ("3", "11:00:00 AM on Saturday 13 May, 2023"),
    ]
    conversation: dict[str, Any] = {"speaker_a": "Ada", "speaker_b": "Ben"}
    for number, (session, when) in enumerate(said):
        turn = {"speaker": "Ada", "dia_id": f"D{session}:1", "text": f"Word {number}.", "date_time": when}
        conversation |= {
            f"session_{session}_date_time": when,
            f"session_{session}": [turn | {"response_number": str(number)}],
        }
    conversation["session_1"][0] |= {"blip_caption": "a photo of a fig", "query": "secret phrase"}
    follow_up = [{"speaker": "Ada", "text": "We talked on May 8th."}, {"speaker": "Ada", "text": "What was it? "}]
    groups = {
        "dates": [
            {"questions": ["What on May 13th?"], "relevant_docs": [1]},
            {"questions": ["What on May 13th?"], "relevant_docs": [2]},
        ],
        "rel_day": [
            {"questions": ["What 5 days ago?"], "relevant_docs": [0]},
            {"questions": ["What 4 days ago?"], "relevant_docs": [0]},
        ],
        "month": [{"questions": [follow_up], "relevant_docs": [2, 0, 1]}],
    }
    return conversation, groups
