"""The server: JSON over HTTP and a page. `create_app(library, settings)` makes the application.

    GET  /                                 the page; /page/… its files
    GET  /api/info, /api/fields            what the library holds; what can be filtered
    GET  /api/search, POST                 questions; POST /api/batch several; POST /api/uploads a picture
    GET  /api/images, /api/images/ID       browsing; one image, …/thumbnail, …/file, …/neighbours
    GET  /api/failures, /api/duplicates    going through a library; /api/decisions what was decided
    POST /api/session                      the token becomes a cookie
    GET  /health, /metrics                 for those who watch over it

docs/http.md explains all of it, docs/serving.md how it is run.
"""
