from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0009_tokens"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="connection",
            options={
                "permissions": [
                    ("see", "Can see"),
                    ("annotate", "Can annotate"),
                    ("resolve", "Can resolve"),
                    ("replay", "Can replay"),
                    ("pause", "Can pause"),
                    ("reconcile", "Can reconcile"),
                    ("rotate", "Can rotate"),
                    ("dismiss", "Can dismiss"),
                    ("see_drift", "Can see drift"),
                    ("settle_drift", "Can settle drift"),
                    ("export", "Can export"),
                    ("edit_mapping", "Can edit mapping"),
                    ("edit_settings", "Can edit settings"),
                    ("name_failure", "Can name failure"),
                    ("reveal", "Can reveal"),
                    ("see_personal", "Can see personal"),
                    ("verify", "Can verify"),
                    ("command", "Can command"),
                ]
            },
        ),
        migrations.AlterModelOptions(
            name="tenant",
            options={
                "permissions": [
                    ("see", "Can see"),
                    ("annotate", "Can annotate"),
                    ("resolve", "Can resolve"),
                    ("replay", "Can replay"),
                    ("pause", "Can pause"),
                    ("reconcile", "Can reconcile"),
                    ("rotate", "Can rotate"),
                    ("dismiss", "Can dismiss"),
                    ("see_drift", "Can see drift"),
                    ("settle_drift", "Can settle drift"),
                    ("export", "Can export"),
                    ("edit_mapping", "Can edit mapping"),
                    ("edit_settings", "Can edit settings"),
                    ("name_failure", "Can name failure"),
                    ("reveal", "Can reveal"),
                    ("see_personal", "Can see personal"),
                    ("verify", "Can verify"),
                    ("command", "Can command"),
                    ("manage_people", "Can manage people"),
                ]
            },
        ),
    ]
