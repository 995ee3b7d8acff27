"""A chain of LangChain whose model's answers are filtered before anything sees them."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from guardrail import Guardrail
from guardrail.integrations.langchain import GuardedChatModel


def chain(model: BaseChatModel, guardrail: Guardrail) -> Runnable[Any, str]:
    """A question in, an answer out; `invoke` it or `stream` it."""
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from the files of the clinic."), ("human", "{question}")]
    )
    return prompt | GuardedChatModel(inner=model, guardrail=guardrail) | StrOutputParser()
