if(location.hash)for(const field of document.querySelectorAll('input[name="rd"]'))if(!field.value.includes("#"))field.value+=location.hash;
