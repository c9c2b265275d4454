from tests.serving.conftest import bundles as bundles
