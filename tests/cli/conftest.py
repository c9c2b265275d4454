from tests.data.audit.conftest import photos as photos
