from common.api.serializers import ModelSerializer
from posts.models import Post


class PostSerializer(ModelSerializer):
    """A post as the feed has it; the times are those of our copy."""

    class Meta:
        model = Post
        fields = ("id", "user_id", "title", "body", "created_at", "updated_at")
        read_only_fields = fields
