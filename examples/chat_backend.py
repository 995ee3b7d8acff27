"""A chat backend in FastAPI that streams what a model says, filtered.

    uvicorn --factory examples.chat_backend:app

GUARDRAIL_INDEX names the index, GUARDRAIL_KEY holds its key, OPENAI_BASE_URL and OPENAI_API_KEY say
where the model is.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

from guardrail import Guardrail


class Question(BaseModel):
    """What a user sends."""

    text: str


def create(guardrail: Guardrail, client: AsyncOpenAI, model: str = "default") -> FastAPI:
    """The application."""
    service = FastAPI()

    async def words(question: str) -> AsyncIterator[str]:
        answer = await client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": question}], stream=True
        )
        async for chunk in answer:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    @service.post("/chat")
    async def chat(question: Question) -> StreamingResponse:
        safe = guardrail.stream(words(question.text), prompt=question.text)
        return StreamingResponse(safe, media_type="text/plain; charset=utf-8")

    return service


def app() -> FastAPI:
    """What `uvicorn --factory` calls."""
    return create(Guardrail.from_policy(indexes=[os.environ["GUARDRAIL_INDEX"]]), AsyncOpenAI())
