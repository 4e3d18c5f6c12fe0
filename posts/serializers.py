from common.api.serializers import ModelSerializer
from posts.models import Post


class PostSerializer(ModelSerializer):
    """A post of the feed; `created_at` and `updated_at` are those of the mirrored row."""

    class Meta:
        model = Post
        fields = ("id", "user_id", "title", "body", "created_at", "updated_at")
        read_only_fields = fields
