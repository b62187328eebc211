"""The ASGI entry: webhooks go to `console.receive`, everything else to Django."""

import gc
import os
from typing import cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

from django.conf import settings  # noqa: E402 - reads the environment set above

from console.proxies import behind  # noqa: E402
from console.receive.app import Application, with_receiver  # noqa: E402 - needs the apps to be loaded

application = behind(with_receiver(cast("Application", django)), settings.TRUSTED_PROXIES)

# The program itself is no garbage: without this it is walked again and again while requests wait.
gc.collect()
gc.freeze()
