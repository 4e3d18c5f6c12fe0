"""Descriptions of this app's fields in the OpenAPI schema; see `common.api.schema_descriptions`."""

FIELD_DESCRIPTIONS = {
    "Post.id": "The id in the feed.",
    "Post.user_id": "The author's id in the feed.",
    "Post.title": "The title.",
    "Post.created_at": "When the post was first mirrored.",
    "Post.updated_at": "When the mirrored post last changed.",
    "body": "The text of the post.",
}
