// Calls by a generated TypeScript client; `clients/check_clients.py` runs them.

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema.js";

const url = process.argv[2];
const { CHECK_PASSWORD = "", CHECK_AGENT = "", CHECK_ADMIN = "" } = process.env;
const bytes = "The pump failed. Bob replaced it.";

async function signIn(username: string): Promise<Client<paths>> {
  const client = createClient<paths>({ baseUrl: url });
  const { data } = await client.POST("/api/v1/auth/login", {
    body: { username, password: CHECK_PASSWORD },
  });
  assert(data);
  const headers = { Authorization: `Bearer ${data.access_token}` };
  return createClient<paths>({ baseUrl: url, headers });
}

async function writeNotes(client: Client<paths>): Promise<void> {
  const created = await client.POST("/api/v1/notes", { body: { raw_text: bytes, title: "Pump" } });
  assert(created.data);
  const { id } = created.data;
  const changed = await client.PATCH("/api/v1/notes/{id}", {
    params: { path: { id } },
    body: { title: "New" },
  });
  assert.equal(changed.data?.title, "New");
  const page = await client.GET("/api/v1/notes", {
    params: { query: { search: "pump", page_size: 5, ordering: "-created_at" } },
  });
  assert(page.data?.items.some((note) => note.id === id));
}

async function sendFile(client: Client<paths>): Promise<void> {
  const { data, error } = await client.POST("/api/v1/summaries", {
    body: { template: "bullets", max_words: 50, text: undefined },
    bodySerializer: (body) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(body ?? {})) {
        if (value !== undefined) form.append(name, String(value));
      }
      form.append("file", new Blob([bytes]), "report.txt");
      return form;
    },
  });
  assert(data, JSON.stringify(error));
  assert.equal(data.file_name, "report.txt");
}

async function sendToStorage(client: Client<paths>): Promise<void> {
  const sessions = await client.GET("/api/v1/sessions");
  const session_id = sessions.data?.items[0]?.id;
  assert(session_id);
  const { data } = await client.POST("/api/v1/uploads/presigned-url", {
    body: { session_id, file_key: "b.txt" },
  });
  assert(data);
  const response = await fetch(data.url, { method: data.method, headers: data.headers, body: bytes });
  assert.equal(response.status, 200);
}

async function writeProduct(client: Client<paths>): Promise<void> {
  const { data } = await client.POST("/api/v1/products", {
    body: { name: "Pump", price: "29.99", sku: "PUMP-78" },
  });
  assert.equal(data?.price, "29.99");
}

const agent = await signIn(CHECK_AGENT);
const admin = await signIn(CHECK_ADMIN);
await writeNotes(agent);
await sendFile(agent);
await sendToStorage(agent);
await writeProduct(admin);
