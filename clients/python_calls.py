"""Calls by a generated Python client; `clients/check_clients.py` runs them."""

import os
import sys

import httpx
from bureau_client import AuthenticatedClient, Client
from bureau_client.api.auth import auth_login
from bureau_client.api.notes import notes_create, notes_list, notes_partial_update
from bureau_client.api.products import products_create, products_list
from bureau_client.api.sessions import sessions_list
from bureau_client.api.summaries import summaries_create
from bureau_client.api.uploads import uploads_direct_update, uploads_presigned_url
from bureau_client.models import (
    LoginRequest,
    NoteRequest,
    PatchedNoteRequest,
    PresignRequest,
    ProductRequest,
    SummaryRequest,
)
from bureau_client.types import File


def sign_in(url: str, username: str) -> AuthenticatedClient:
    body = LoginRequest(username=username, password=os.environ["CHECK_PASSWORD"])
    pair = auth_login.sync(client=Client(base_url=url), body=body)
    return AuthenticatedClient(base_url=url, token=pair.access_token)


def write_notes(client: AuthenticatedClient) -> None:
    note = notes_create.sync(
        client=client, body=NoteRequest(raw_text="The pump failed.", title="Pump")
    )
    assert note.title == "Pump"
    changed = notes_partial_update.sync(
        id=note.id, client=client, body=PatchedNoteRequest(title="New")
    )
    assert changed.title == "New"
    page = notes_list.sync(client=client, search="pump", page_size=5)
    assert note.id in [row.id for row in page.items]


def send_a_file(client: AuthenticatedClient) -> None:
    file = File(payload=b"The pump failed. Bob replaced it.", file_name="report.txt")
    body = SummaryRequest(file=file, template="bullets", max_words=50)
    assert summaries_create.sync(client=client, body=body).file_name == "report.txt"
    body = SummaryRequest(text="The pump failed. Bob replaced it.")
    assert summaries_create.sync(client=client, body=body).template == "paragraph"


def send_to_storage(client: AuthenticatedClient) -> None:
    session = sessions_list.sync(client=client).items[0]
    body = PresignRequest(session_id=session.id, file_key="a.txt")
    presigned = uploads_presigned_url.sync(client=client, body=body)
    url = httpx.URL(presigned.url)
    stored = uploads_direct_update.sync(
        id=url.path.rsplit("/", 1)[1],
        client=client,
        body=File(payload=b"content"),
        signature=url.params["signature"],
    )
    assert stored.size == len(b"content")


def write_a_product(client: AuthenticatedClient) -> None:
    body = ProductRequest(name="Pump", price="29.99", sku="PUMP-77")
    product = products_create.sync(client=client, body=body)
    page = products_list.sync(client=client, name="pump", min_price=20, in_stock_only=False)
    assert product.id in [row.id for row in page.items]


def main(url: str) -> None:
    agent, admin = (sign_in(url, os.environ[name]) for name in ("CHECK_AGENT", "CHECK_ADMIN"))
    write_notes(agent)
    send_a_file(agent)
    send_to_storage(agent)
    write_a_product(admin)


if __name__ == "__main__":
    main(sys.argv[1])
