// What the generated program of calls needs: clients of all roles, and checks of answers.

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema.js";

type Answer<T> = { data?: T; error?: unknown; response: Response };

const { CHECK_URL: baseUrl = "", CHECK_PASSWORD: password = "" } = process.env;

export function client_of(token: string): Client<paths> {
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
}

async function sign_in(role: string): Promise<Client<paths>> {
  const username = process.env[`CHECK_${role}`];
  const { data } = await anyone.POST("/api/v1/auth/login", { body: { username, password } });
  assert(data);
  return client_of(data.access_token);
}

export const anyone = createClient<paths>({ baseUrl });
export const absent = 1;
export const agent = await sign_in("AGENT");
export const worker = await sign_in("WORKER");
export const admin = await sign_in("ADMIN");
export const superuser = await sign_in("SUPERUSER");

export function check<T>(operation: string, status: number, answer: Answer<T>): T {
  assert.equal(answer.response.status, status, `${operation}: ${JSON.stringify(answer.error)}`);
  return answer.data as T;
}

export function first<T>(items: T[]): T {
  assert(items[0] !== undefined);
  return items[0];
}

export function serialize_form(body: Record<string, unknown> | undefined): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(body ?? {})) {
    if (name === "file") form.append(name, new Blob([String(value)]), "report.txt");
    else form.append(name, String(value));
  }
  return form;
}

export function serialize_bytes(body: string | undefined): string {
  return body ?? "";
}

export function id_in(url: string): string {
  return new URL(url).pathname.split("/").at(-1) ?? "";
}

export function signature_in(url: string): string {
  return new URL(url).searchParams.get("signature") ?? "";
}
